"""What the votes say: the board of each second, and the certified result at the end.

board.py          PURE: counts -> ranked rows with percentages, places gained and trends
history.py        PURE: the samples of the last ten minutes that trends are read from
publisher.py      the director's board, once a second, to every node
certification.py  fence, drained ledger, recount -> RESULTS_READY and its certificate
certificate.py    PURE: what a certificate says, and what must add up in one
verify.py         `broadcast-sync verify`: checks one offline
archive.py        results as they are stored for ever
rounds.py         who won each slot of a season
releases.py       which of them are public
published.py      a released result as the mobile apps know it
routes.py         the archive over HTTP
"""
