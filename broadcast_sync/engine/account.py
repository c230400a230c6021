"""The system account that the engines run as.

PostgreSQL refuses to run as root, and nothing asks for Valkey to. An ordinary user's engines are that user's.
Root's engines run as whoever owns the data already, so that a folder made by an ordinary user stays theirs, or
else as the system account `broadcast-sync`, made when it is first needed.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path
from typing import Any, Final

import structlog
from msgspec import Struct

from broadcast_sync.engine.traverse import let_through
from broadcast_sync.errors import StartError

log = structlog.get_logger()

NAME: Final = "broadcast-sync"


class Account(Struct, frozen=True):
    """Whom the engines run as. `switched` is False when that is the current user: nothing is to be given away."""

    uid: int
    gid: int
    switched: bool

    def popen(self) -> dict[str, Any]:
        """Arguments for subprocess that make the child this account, without root's groups."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switched else {}

    def folder(self, path: Path) -> None:
        """Makes `path` if need be, with all in it this account's and closed to others; lets it through to there."""
        path.mkdir(mode=0o700, exist_ok=True)
        if self.switched:
            self.take(path)
            let_through(path, self.uid, self.gid)

    def take(self, path: Path) -> None:
        """As root: gives `path` and all below it to this account, if the top is not its already."""
        if not self.switched or path.stat().st_uid == self.uid:
            return
        for folder, _, files in os.walk(path.resolve()):
            for name in (folder, *(os.path.join(folder, file) for file in files)):
                os.lchown(name, self.uid, self.gid)


def choose(data: Path, pgdata: Path) -> Account:
    """The account for the engines of the data folder `data`. StartError if root finds no account but its own."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), False)
    for path in (pgdata, data):
        if path.exists() and (owner := path.stat()).st_uid != 0 and (path == pgdata or _known(owner.st_uid)):
            return Account(owner.st_uid, owner.st_gid, True)
    entry = _system_account()
    return Account(entry.pw_uid, entry.pw_gid, True)


def _known(uid: int) -> bool:
    """initdb wants a name for its user; a bare number, as containers have them, will not do."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _system_account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        pass  # the usual first time: it is made now
    command = ["useradd", "--system", "--no-create-home", "--home-dir", "/", "--shell", "/usr/sbin/nologin", NAME]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        reason = done.stderr.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    for name in (NAME, "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if name != NAME:
            log.warning("system_account_not_made", wanted=NAME, using=name, reason=reason)
        return entry
    raise StartError(
        f"PostgreSQL does not run as root and the account {NAME} could not be made: make it, or run as another user"
    )
