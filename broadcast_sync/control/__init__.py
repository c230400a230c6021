"""Ways into the control room for machines: buttons, cue stacks, transport streams. Each ends at the one cue intake.

flat.py        PURE: the tally with flat keys, for the variables of a button controller
tally.py       GET /control/tally
osc.py         Open Sound Control over UDP and TCP, on a port of its own
osc_tcp.py     one TCP connection of it
osc_cues.py    PURE: a packet -> what it asks; what it is answered
osc_frames.py  PURE: packets in a TCP stream, OSC 1.0 and 1.1
osc_gate.py    PURE: who may send, how often, and when that is logged
scte35.py      PURE: a splice information section
splices.py     PURE: a section -> a cue, by a table
splicing.py    POST /control/scte35
"""
