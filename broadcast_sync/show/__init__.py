"""The show: what the control room says, what it makes of the stage, and who hears of it.

model.py      the stage at one revision, and the ports to the voting wing
orders.py     PURE: what can be asked of the machine
machine.py    PURE: (stage, command, now) -> (stage, events), or a refusal with its reason; its parts:
checks.py     PURE:   what they ask of a stage first
voting.py     PURE:   the window
outcome.py    PURE:   results and slots
arming.py     PURE:   cues to come, and what takes two people
rounds.py     PURE: a season of slots, who wins one, what comes after
views.py      PURE: the stage as the wire shows it
countdown.py  PURE: ticks and deadlines from absolute times
timecode.py   PURE: SMPTE time code: labels, frame counts, instants
cues.py       PURE: the data of cues; the line they leave in the cue log
rundown.py    PURE: timed rundowns, and all that may be wrong with one
reader.py     from the words of a cue to the machine's command
planning.py   what a cue comes to: taken now, armed, cancelled, put to a second person
pace.py       PURE: how many cues a second one operator may send
signing.py    PURE: signatures of cues over HTTP
operators.py  who an HTTP request to the control room is by
intake.py     cues in: idempotent, compared with the revision, committed or refused with a reason
execution.py  decisions carried out: gates opened before, told after
store.py      the stage in Valkey: compare-and-set, events, acks
mirror.py     a node's live copy of the stage; what its sockets are sent
canary.py     proves the path from the engine to the mirror, and that nothing was lost on it
recent.py     PURE: the last must-arrive events, for those who come back
embargo.py    PURE: who may see the counts of a window, and the boards held back until then
outages.py    what counts as an engine outage, and how it is waited out
fresh.py      the newest stage a node knows
director.py   the lease holder's duties: warn, close, settle, advance
taker.py      the lease holder's: armed cues at their instants
voider.py     the lease holder's: voids that two people agreed on
scheduling.py  PURE: rundowns for a date
rundown_loader.py  rundowns into the stage, all of their cues or none; kept until they are due
rundown_keeper.py  the lease holder's: arms what is due
rundown_desk.py  rundowns over HTTP
cuelog.py     cue records: from the stream to PostgreSQL, and the last of them to the consoles
operators.py  who may ask over HTTP
routes.py     POST /control/cues, GET /control/state
showfile.py   PURE: show files, TOML or JSON
catalogue.py  shows in PostgreSQL
sender.py     one signed cue over HTTP, from a terminal
commands.py   `broadcast-sync show ...` and `broadcast-sync cue ...`
rundown_commands.py  `broadcast-sync rundown ...`
sql/          the statements of catalogue and cue log, one a file
demo/         the rehearsal show and its pictures
"""
