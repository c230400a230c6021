"""From a VOTE frame to its VOTE_ACK.

ruleset.py    rulesets as data: the rules there are, canonical text and hash, frozen for a window and back
checking.py   PURE: all that is wrong with a ruleset, each with its place
library.py    ruleset files: reading them, and those that ship
days.py       PURE: the calendar days of a time zone
rules.py      PURE: the rules of one window; a ballot -> claims and weight, or a refusal
claims.py     what a ballot wants to use up: counters, paces, rates, balances
answer.py     what the script said of one ballot
desk.py       one window at hand: its rules, and what ballots want as orders to the script
batcher.py    collects the ballots of a shard, one script call a batch, bounded
gates.py      opens, moves and fences a window in every shard; reads the tallies
intake.py     the hub's handler of VOTE
refusals.py   what a node refuses by itself, added to the window's counts in the engine
standing.py   what a voter has left, and whom they have voted for
metrics.py    counts for Prometheus
rulesets/     the rulesets that ship, as TOML
scripts/      the Lua scripts, one a file
"""
