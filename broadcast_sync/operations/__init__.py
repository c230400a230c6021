"""Running it: what operators, probes and the control room see of the process itself.

commands.py   `broadcast-sync config` and `token`
departure.py  when a node leaves: at once, by a drain, or not while people vote
exposition.py what /metrics shows, and what it withholds
guests.py     POST /auth/guest: tokens for the pages, where settings allow it
health.py     /healthz, /readyz, /metrics, /api/v1/status
keys.py       /api/v1/keys: the public half of the signing key
schedule.py   the director's maintenance jobs, by APScheduler
tally.py      reports of all nodes, and the TALLY made of them
tasks.py      how many tasks the loop has, for Prometheus
"""
