"""What a receipt costs: CPU of the node for one answer, with and without, in one run.

    python -m bench.receipts [--votes 20000]

none      the intake's answer to an accepted ballot that asked for no receipt
turn of N the same with receipts, N of them asked for in one turn of the loop and signed together
floor     one Ed25519 signature a ballot over its leaf, nothing else: the price of signing each

Needs no engine: the answers of the vote script are made up, everything after them is the server's own code. `added` is
what the receipt alone adds. The result is printed and written to bench/results/receipts.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console
from rich.table import Table

from broadcast_sync.ids import uuid7
from broadcast_sync.signatures import Signer
from broadcast_sync.wire.client import Vote
from broadcast_sync.wire.server import Data, VoteAck
from voting.receipts.issuer import ReceiptIssuer
from voting.receipts.voter import WithReceipt

RESULT: Final = Path(__file__).parent / "results" / "receipts.json"
TURNS: Final = (1, 4, 16, 64, 256)


class Sink:
    """A session that encodes what it is told and forgets it."""

    identity = None
    codec = None

    def __init__(self) -> None:
        self.bytes = 0

    def reply(self, data: Data) -> None:
        self.bytes += len(msgspec.json.encode(data))

    def refuse(self, refusal: object, id: str | None = None) -> None:
        raise AssertionError("nothing is refused here")


def acks(votes: int) -> list[VoteAck]:
    return [VoteAck(f"id-{n:08x}", str(uuid7()), "queued", "c07", "free", 1, {"free": 4}, False) for n in range(votes)]


def none(made: list[VoteAck]) -> tuple[float, float]:
    """CPU µs and bytes an answer."""
    sink, started = Sink(), time.process_time()
    for ack in made:
        sink.reply(ack)
    return (time.process_time() - started) / len(made) * 1e6, sink.bytes / len(made)


async def with_receipts(made: list[VoteAck], turn: int, issuer: ReceiptIssuer) -> tuple[float, float]:
    sink, started = Sink(), time.process_time()
    window = str(uuid7())
    for at in range(0, len(made), turn):
        for ack in made[at : at + turn]:
            vote = Vote(ack.id, ack.contestant_id, receipt=True)
            WithReceipt(sink, issuer, vote, window, 0).reply(ack)
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    return (time.process_time() - started) / len(made) * 1e6, sink.bytes / len(made)


def floor(made: list[VoteAck], signer: Signer) -> float:
    leaves = [msgspec.json.encode(ack) for ack in made]
    started = time.process_time()
    for leaf in leaves:
        signer.sign(leaf)
    return (time.process_time() - started) / len(made) * 1e6


async def run(votes: int) -> dict[str, Any]:
    signer = Signer(Ed25519PrivateKey.generate())
    made, issuer = acks(votes), ReceiptIssuer(signer, "bench")
    await with_receipts(made[:500], 64, issuer)  # warms up
    plain, size = none(made)
    found: dict[str, Any] = {"none": {"us": plain, "bytes": size}, "floor": {"us": plain + floor(made, signer)}}
    for turn in TURNS:
        us, size = await with_receipts(made, turn, issuer)
        found[f"turn of {turn}"] = {"us": us, "bytes": size}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="What a receipt costs.")
    parser.add_argument("--votes", type=int, default=20_000)
    found = uvloop.run(run(parser.parse_args().votes))
    plain, each = found["none"]["us"], found["floor"]["us"] - found["none"]["us"]
    table = Table(title="CPU of an answer")
    for name in ("way", "µs", "added µs", "x signing each", "bytes"):
        table.add_column(name, justify="left" if name == "way" else "right")
    for name, figure in found.items():
        added = figure["us"] - plain
        ratio = "" if name == "none" else f"{added / each:.2f}"
        size = f"{figure['bytes']:,.0f}" if "bytes" in figure else ""
        table.add_row(name, f"{figure['us']:.1f}", f"{added:.1f}", ratio, size)
    Console().print(table)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"python": platform.python_version(), "figures": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
