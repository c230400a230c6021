"""Installs the peer's packages into bench/peers/votes (git ignores it), as package-lock.json names them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from bench.hub.peers import FOLDER, PeerMissing

HERE: Final = Path(__file__).parent
INSTALL_S: Final = 120.0
PROGRAM: Final = HERE / "node_bullmq.mjs"


def node_bullmq() -> Path:
    """The folder whose `node_modules` holds ws and bullmq. Raises PeerMissing, whose text says why in a line."""
    folder = FOLDER / "votes"
    lock = (HERE / "package-lock.json").read_bytes()
    installed = folder / "package-lock.json"
    if (folder / "node_modules" / "bullmq").is_dir() and installed.read_bytes() == lock:
        return folder
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise PeerMissing(f"there is no {program} here")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    try:
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=folder, capture_output=True,
            text=True, timeout=INSTALL_S,
        )
    except subprocess.TimeoutExpired:
        raise PeerMissing(f"`npm ci` took longer than {INSTALL_S:.0f} s") from None
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise PeerMissing(f"`npm ci` failed: {words[-1] if words else done.returncode}")
    return folder
