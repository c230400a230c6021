"""The show: what the control room says, what it makes of the stage, and who hears of it.

model.py      the stage at one revision, and the ports to the voting wing
machine.py    PURE: (stage, command, now) -> (stage, events), or a refusal with its reason
rounds.py     PURE: a season of slots, who wins one, what comes after
views.py      PURE: the stage as the wire shows it
countdown.py  PURE: ticks and deadlines from absolute times
timecode.py   PURE: SMPTE time code: labels, frame counts, instants
cues.py       PURE: a CUE message -> command of the machine; the line it leaves in the cue log
pace.py       PURE: how many cues a second one operator may send
signing.py    PURE: signatures of cues over HTTP
intake.py     cues in: idempotent, compared with the revision, committed or refused with a reason
store.py      the stage in Valkey: compare-and-set, events, acks
mirror.py     a node's live copy of the stage; what its sockets are sent
canary.py     proves the path from the engine to the mirror, and that nothing was lost on it
recent.py     PURE: the last must-arrive events, for those who come back
embargo.py    PURE: who may see the counts of a window, and the boards held back until then
outages.py    what counts as an engine outage, and how it is waited out
director.py   the lease holder's duties: warn, close, settle, advance
cuelog.py     cue records: from the stream to PostgreSQL, and the last of them to the consoles
operators.py  who may ask over HTTP
routes.py     POST /control/cues, GET /control/state
showfile.py   PURE: show files, TOML or JSON
catalogue.py  shows in PostgreSQL
sender.py     one signed cue over HTTP, from a terminal
commands.py   `broadcast-sync show ...` and `broadcast-sync cue ...`
sql/          the statements of catalogue and cue log, one a file
demo/         the rehearsal show and its pictures
"""
