"""From a VOTE frame to its VOTE_ACK.

ruleset.py    rulesets as data: loading, checking, canonical hash, plain words
rules.py      PURE: the rules of one window; a ballot -> claims and weight, or a refusal
claims.py     what a ballot wants to use up: fixed counters and rates
answer.py     what the script said of one ballot
desk.py       one window at hand: its rules, and what ballots want as orders to the script
batcher.py    collects the ballots of a shard, one script call a batch, bounded
gates.py      opens, moves and fences a window in every shard; reads the tallies
intake.py     the hub's handler of VOTE
metrics.py    counts for Prometheus
rulesets/     the rulesets that ship, as TOML
scripts/      the Lua scripts, one a file
"""
