"""Real time: clock, cues, show state, bus and sockets. Knows nothing of votes.

clock.py      the one source of time
settings.py   config.toml and the environment as frozen Structs
errors.py     error types with their wire codes
ids.py        UUIDv7
http.py       bounded bodies in, JSON and typed errors out
signatures.py what anybody can check offline: Ed25519 over canonical JSON
tokens.py     who somebody is: JWT signing and checking
engine/       starts or finds Valkey and PostgreSQL
wire/         messages, codecs, frames
bus/          Valkey adapters: pub/sub, streams, leases, scripts
show/         cues, state machine, countdown, intake, director
hub/          sockets: endpoint, session, outbox, fan-out, router
operations/   health, guest tokens, tally, commands of the operator
"""
