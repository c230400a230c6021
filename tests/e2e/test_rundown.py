"""A rundown on the real server: checked, loaded, played by the director at its frames, through the director's death."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from broadcast_sync.wire.times import iso, parse_iso
from tests.e2e.conftest import Starter
from tests.e2e.test_failures import engines
from tests.support.process import COMMAND, ROOT, ServerProcess
from tests.support.viewer import Viewer

pytestmark = pytest.mark.timeout(90)
SECOND = 25


def written(folder: Path, start: str = "20:00:00:00") -> Path:
    """A show of two songs and a window, in ten seconds; the labels are at 25 frames a second."""
    file = folder / "rundown.toml"
    cues = [
        ("start", "SHOW_START", "20:00:01:00", 'showId = "demo", episode = 1, rehearsal = true'),
        ("sing", "PERFORMANCE_START", "20:00:01:12", 'contestantId = "c01"'),
        ("open", "VOTING_OPEN", "20:00:02:00", "duration = 30"),
        ("bow", "PERFORMANCE_END", "20:00:02:05", ""),
        ("wrong", "PERFORMANCE_END", "20:00:02:10", ""),
        ("close", "VOTING_CLOSE", "20:00:07:00", ""),
    ]
    file.write_text('name = "Dress"\nrate = "25"\n' + "".join(
        f'[[cues]]\nid = "{cue_id}"\nevent = "{event}"\ntimecode = "{label}"\ndata = {{ {data} }}\n'
        for cue_id, event, label, data in cues
    ))
    return file


def rundown(server: ServerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`broadcast-sync rundown`."""
    where = [] if arguments[0] == "check" else ["--url", server.url]
    return server.run("rundown", *arguments, *where, "--json", check=False)


def states(server: ServerProcess) -> dict[str, str]:
    items = json.loads(rundown(server, "show").stdout)["rundown"]["items"]
    return {item["cueId"]: item["state"] for item in items}


async def test_a_rundown_is_played_through_the_death_of_its_director(start_server: Starter, tmp_path: Path) -> None:
    first = start_server()
    file = written(tmp_path)
    assert json.loads(rundown(first, "check", str(file)).stdout)["problems"] == []
    unset = rundown(first, "load", str(file))
    assert unset.returncode == 1 and "TIMECODE_SET" in unset.stdout
    second = start_server({
        "engine.valkey_url": engines(first)["valkey"]["url"], "engine.postgres_url": engines(first)["postgres"]["url"],
        "control.secret_file": str(first.data / "keys" / "control.secret"),
    })
    phone = await Viewer.open(second.url)
    first.cue("TIMECODE_SET", {"rate": "25", "label": "20:00:00:00", "at": iso(round(time.time() * 1000) + 600_000)})
    loaded = rundown(first, "load", str(file))
    assert loaded.returncode == 0 and set(states(second).values()) == {"armed"}, loaded.stdout
    # the show begins earlier than planned: the cues move with their labels
    began = iso(round(time.time() * 1000) + 500)
    first.cue_at_once("TIMECODE_SET", {"rate": "25", "label": "20:00:00:00", "at": began})
    opened = await phone.expect("VOTING_OPEN", timeout_s=10)
    assert opened["data"]["rehearsal"] is True
    await phone.expect("STATE_UPDATE", performance=None)
    await asyncio.to_thread(first.kill)
    closed = await phone.expect("VOTING_CLOSED", timeout_s=15)
    # two nodes, one of them dead: whichever was the director, the close has come once and not before its frame
    assert parse_iso(closed["data"]["closedAt"]) >= parse_iso(began) + 7_000
    await phone.expect("RESULTS_READY", timeout_s=20)
    assert len(phone.seen("VOTING_CLOSED")) == len(phone.seen("VOTING_OPEN")) == 1
    assert states(second) == {
        "start": "taken", "sing": "taken", "open": "taken", "bow": "taken", "wrong": "refused", "close": "taken"
    }
    # a rehearsal's result is nobody's business afterwards, nor now
    window_id = opened["data"]["windowId"]
    assert second.get("/api/v1/results")["results"] == []
    with pytest.raises(urllib.error.HTTPError, match="404") as hidden:
        second.get(f"/api/v1/results/{window_id}")
    hidden.value.close()
    await phone.close()
    # the next evening's is loaded ahead, by its date: no end of a show and no restart forgets it
    file.write_text('name = "Tomorrow"\n[[cues]]\nid = "next"\nevent = "VOTING_CLOSE"\noffset = 30\n')
    due = iso(round(time.time() * 1000) + 62_000)
    kept = json.loads(rundown(second, "load", str(file), "--due", due).stdout)
    assert [(one["name"], one["dueAt"], one["cues"]) for one in kept["due"]] == [("Tomorrow", due, 1)]
    assert kept["rundown"]["name"] == "Dress"
    second.cue_at_once("SHOW_END")
    await asyncio.to_thread(second.stop)
    await asyncio.to_thread(first.start)
    assert first.get("/api/v1/results")["results"] == []
    watcher = await Viewer.open(first.url)
    while True:
        known = len(watcher.seen("STATE_UPDATE"))
        if states(first) == {"next": "armed"}:
            break
        await watcher.expect("STATE_UPDATE", after=known)
    assert json.loads(rundown(first, "show").stdout)["due"] == []
    await watcher.close()


def test_what_is_wrong_is_said_with_its_place_and_an_exit_code(tmp_path: Path) -> None:
    file = written(tmp_path)
    text = file.read_text().replace("20:00:02:00", "20:00:01:12").replace("VOTING_CLOSE", "FIREWORKS")
    file.write_text(text.replace("20:00:02:05", "20:00:02;05"))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*COMMAND, "rundown", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60)

    done = run("check", str(file), "--json")
    problems: list[dict[str, Any]] = json.loads(done.stdout)["problems"]
    assert done.returncode == 2
    assert [problem["place"] for problem in problems] == ["cues[3].timecode", "cues[5].event", "cues[2]"]
    done = run("load", str(file))
    assert done.returncode == 2 and f"{file}: cues[2]: is at the same frame as cues[1]" in done.stderr
    assert run("check", str(tmp_path / "none.toml")).returncode == 2
    assert run("show", "--url", "http://127.0.0.1:1").returncode == 3
