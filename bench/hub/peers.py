"""Installs the peers that are not Python packages into bench/peers (git ignores it), by npm and by apt.

Nothing is installed into the system: Debian's packages are downloaded and unpacked in the folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parents[1] / "peers"
NODE_WS: Final = "ws@8"
DEBIAN: Final = ("nginx", "libnginx-mod-nchan")
INSTALL_S: Final = 120.0
NCHAN_FOLDER: Final = (b"/var/lib/nginx/body\0", b"nchan_message_body_\0")
"""nchan makes a folder for large messages wherever Debian was built to have it, and no setting moves it. In our copy
of the module its name is a relative one of the same length, so that it lies in the folder that nginx is given."""


class PeerMissing(Exception):
    """A peer could not be had; the text says why, in a line."""


def node_ws() -> Path:
    """The folder whose `node_modules` holds ws. Raises PeerMissing."""
    folder = FOLDER / "node"
    if not (folder / "node_modules" / "ws").is_dir():
        for program in ("node", "npm"):
            _need(program)
        folder.mkdir(parents=True, exist_ok=True)
        _run(["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), NODE_WS])
    return folder


def nchan() -> tuple[Path, Path]:
    """nginx and the nchan module for it. Raises PeerMissing."""
    folder = FOLDER / "nginx"
    program = folder / "usr" / "sbin" / "nginx"
    module = folder / "usr" / "lib" / "nginx" / "modules" / "ngx_nchan_module.so"
    if not (program.is_file() and module.is_file()):
        for needed in ("apt-get", "dpkg"):
            _need(needed)
        folder.mkdir(parents=True, exist_ok=True)
        _download(folder)
        for package in folder.glob("*.deb"):
            _run(["dpkg", "-x", str(package), str(folder)])
        module.write_bytes(module.read_bytes().replace(*NCHAN_FOLDER))
    _run([str(program), "-v"])  # a library that is missing shows here
    return program, module


def _download(folder: Path) -> None:
    root = os.geteuid() == 0
    options = ["-o", "APT::Sandbox::User=root"] if root else []
    try:
        _run(["apt-get", *options, "download", *DEBIAN], folder)
    except PeerMissing:
        if not root:
            raise
        _run(["apt-get", "update", "-qq"])  # a fresh machine has no package lists
        _run(["apt-get", *options, "download", *DEBIAN], folder)


def _need(program: str) -> None:
    if shutil.which(program) is None:
        raise PeerMissing(f"there is no {program} here")


def _run(arguments: list[str], folder: Path | None = None) -> None:
    try:
        done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.TimeoutExpired:
        raise PeerMissing(f"`{arguments[0]}` took longer than {INSTALL_S:.0f} s") from None
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise PeerMissing(f"`{' '.join(arguments[:2])}` failed: {words[-1] if words else done.returncode}")
