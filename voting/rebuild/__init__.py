"""From the ledger back into an engine that has lost its data.

rebuild.py   streams, wallets, books, tallies, stage and gates of an organisation, in that order
books.py     what voters have used up and were answered: their votes, taken once more by the vote script
stage.py     PURE: the show as far as the ledger knows it
commands.py  `broadcast-sync rebuild`
sql/         the statements
"""
