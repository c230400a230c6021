"""The OpenAPI document against the server that it describes: schemathesis asks what it allows, and what it forbids."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.e2e.conftest import Starter
from tests.support.process import ServerProcess

CONFIG = Path(__file__).with_name("schemathesis.toml")
CASES = 12
"""Examples an operation and phase; the coverage phase makes as many as the schemas have boundaries."""
ROOMY = {
    "api.user_requests_per_minute": 1_000_000, "api.address_requests_per_minute": 1_000_000,
    "control.cues_per_second": 1_000, "auth.guests": "users",
}  # fmt: skip


def token_of_all_trades(server: ServerProcess) -> str:
    """A token that every operation lets in, so that all of it is reached."""
    claims = {"sub": "tester", "org": "default", "roles": ["user", "control"], "exp": int(time.time()) + 3_600}
    return jwt.encode(claims, (server.data / "keys" / "signing.pem").read_bytes(), algorithm="EdDSA")


def ask_everything(server: ServerProcess, token: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "--no-color", "run",
            f"{server.url}/openapi.json", "-H", f"Authorization: Bearer {token}", "--max-examples", str(CASES),
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=100,
    )  # fmt: skip


@pytest.mark.timeout(150)
def test_the_server_is_as_its_document_says(start_server: Starter, tmp_path: Path) -> None:
    server = start_server(ROOMY)
    server.cue("SHOW_START", {"showId": "demo", "episode": 1})
    server.cue("VOTING_OPEN", {"duration": 3_600})
    document: dict[str, Any] = server.get("/openapi.json")
    assert document["openapi"] == "3.1.0"
    # schemathesis leaves out the document itself, and its settings the stream
    operations = sum(len(methods) for methods in document["paths"].values()) - 2
    assert operations >= 25
    done = ask_everything(server, token_of_all_trades(server), tmp_path)
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]
    assert re.search(rf"Tested: {operations}\b", done.stdout), done.stdout[-2_000:]
    assert "ASGI" not in server.tail() and "Traceback" not in server.tail(), server.tail()
    with urllib.request.urlopen(f"{server.url}/readyz", timeout=5) as answer:
        assert json.load(answer) == {"ready": True, "reasons": []}
