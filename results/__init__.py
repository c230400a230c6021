"""What the votes say: the board of each second, and the certified result at the end.

leaderboard.py    PURE: counts -> ranks and percentages
history.py        PURE: the samples of the last ten minutes that changes and trends are read from
trend.py          PURE: where a contestant is heading, in words
compact.py        PURE: short counts in the language of the show
board.py          PURE: the board of a moment, and the messages that it goes out in
sent.py           PURE: what of it has gone out, so that only what has changed does again
standing.py       PURE: the last board whole, as it is kept for who reads it
publisher.py      the director's board, once a second, to every node
ballots.py        the last ballots of each contestant, with masked names
certification.py  fence, drained ledger, recount -> RESULTS_READY and its certificate
certificate.py    PURE: what a certificate says, and what must add up in one
verify.py         `broadcast-sync verify`: checks one offline
archive.py        results as they are stored for ever
rounds.py         who won each slot of a season
releases.py       which of them are public
published.py      a released result as the mobile apps know it
routes.py         the archive over HTTP
snapshots.py      boards as they were, for replay; timeline_routes.py has them over HTTP
events.py         what may be read of an event: its line-up and its public counts, a second old at most
listing.py        PURE: contestants filtered, sorted, by page and by cursor (cursor.py); search.py finds them by name
fresh.py          values made once for all who ask at the same time
contestant_routes.py  all of that over HTTP
"""
