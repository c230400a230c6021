"""The drill: votes stream in while one part after another is killed, stopped or full; afterwards every acknowledged
vote is looked for, id by id. `python -m tests.support.drill` is the large one.

__main__.py   the command: options, the table for docs/drill.md
crowd.py      voters on the Python SDK: they press, come back, ask again with the same id
house.py      two nodes on the same engines, and what can be done to them
disk.py       a disk of PostgreSQL's that can be made to refuse
drill.py      the troubles in turn, and the reckoning
report.py     what each trouble cost, and the tables
"""
