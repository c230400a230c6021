"""The data folder: whether it can be used, of which version it is, and where the sockets go.

    VERSION        format of this folder and the major version of its PostgreSQL
    server.lock    held (flock) by whoever runs the engines; says who that is
    engines.json   what runs, and where it listens (mode 0600: a URL may hold a password)
    valkey/        append-only files and log
    postgres/      the cluster; its log is postgres.log beside it
    run/           the sockets, unless the path is too long for one
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from broadcast_sync.engine.account import Account
from broadcast_sync.engine.binaries import POSTGRES_MAJOR
from broadcast_sync.errors import StartError

FORMAT: Final = 1
WAY_OUT: Final = "set engine.data_dir / BROADCAST_SYNC__ENGINE__DATA_DIR to another folder"
SOCKET_NAME: Final = ".s.PGSQL.5432"
SOCKET_PATH_MAX: Final = 103
"""Bytes of a socket's path that every Unix takes (Linux 107, macOS 103)."""
_MB: Final = 1_048_576


class Version(Struct, frozen=True, forbid_unknown_fields=True):
    """What the file VERSION says, as JSON."""

    format: int
    postgres: int


OURS: Final = Version(FORMAT, POSTGRES_MAJOR)


def trouble(path: Path, error: OSError) -> StartError:
    """The one line for a file operation on `path` that failed, with the way out of it."""
    reason = (error.strerror or str(error)).lower()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(path, reason)
    return StartError(f"the data folder {path} cannot be used ({reason}): {WAY_OUT}")


def disk_full(path: Path, reason: str = "no space left on device") -> StartError:
    """The one line for a full disk."""
    return StartError(f"the disk of the data folder {path} is full ({reason}): free some space, or {WAY_OUT}")


def socket_folder(data: Path) -> Path:
    """Where the sockets of the data folder `data` go: within it, or if the path is too long for a socket (or has a
    comma or quote, which PostgreSQL's settings cannot carry) in a folder below /tmp that its hash names. The same
    for ever for the same `data`."""
    inside = data / "run"
    if len(os.fsencode(inside / SOCKET_NAME)) <= SOCKET_PATH_MAX and not re.search(r"[,\"\\\n]", str(inside)):
        return inside
    return Path("/tmp") / f"broadcast-sync-{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}"


class DataFolder:
    """One data folder. Every method raises StartError where the folder cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.valkey = self.path / "valkey"
        self.postgres = self.path / "postgres"

    def open(self) -> None:
        """Makes the folder if there is none, and finds out whether it can be written at all."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError:
            raise StartError(f"the data folder {self.path} is a file: remove it, or {WAY_OUT}") from None
        except NotADirectoryError:
            raise StartError(f"the data folder {self.path} would be inside a file: {WAY_OUT}") from None
        except OSError as error:
            raise trouble(self.path, error) from None
        if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
            raise StartError(
                f"the data folder {self.path} cannot be written by this user: run as its owner, or {WAY_OUT}"
            )

    def check_space(self, min_free_mb: int) -> None:
        """StartError if the disk has less than `min_free_mb` MiB free."""
        free = shutil.disk_usage(self.path).free // _MB
        if free < min_free_mb:
            raise StartError(
                f"the disk of the data folder {self.path} has {free} MB free and {min_free_mb} are wanted: free some "
                f"space, lower engine.min_free_mb, or {WAY_OUT}"
            )

    def check_version(self) -> None:
        """StartError if another version wrote the folder; signs a new one."""
        try:
            found = msgspec.json.decode((self.path / "VERSION").read_bytes(), type=Version)
        except FileNotFoundError:
            found = self._unsigned()
            if found == OURS:
                self.write("VERSION", msgspec.json.encode(OURS) + b"\n")
        except msgspec.MsgspecError:
            raise StartError(f"{self.path}/VERSION cannot be understood: restore it, or {WAY_OUT}") from None
        except OSError as error:
            raise trouble(self.path, error) from None
        if found != OURS:
            raise StartError(
                f"the data folder {self.path} is of another version (format {found.format}, PostgreSQL "
                f"{found.postgres}; this program: format {FORMAT}, PostgreSQL {POSTGRES_MAJOR}): run the version that "
                f"wrote it, or {WAY_OUT}"
            )

    def _unsigned(self) -> Version:
        """The version of a folder without VERSION: new, unless a cluster in it says otherwise."""
        try:
            return Version(FORMAT, int((self.postgres / "PG_VERSION").read_text("ascii")))
        except (FileNotFoundError, PermissionError):
            return OURS
        except ValueError:
            raise StartError(f"{self.postgres}/PG_VERSION cannot be understood: {WAY_OUT}") from None

    def write(self, name: str, content: bytes) -> None:
        """Replaces a file of the folder in one step; mode 0600, owned by the folder's owner."""
        target = self.path / name
        fresh = self.path / f"{name}.new"
        try:
            fresh.unlink(missing_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            self.hand_over(fresh)
            fresh.replace(target)
        except OSError as error:
            raise trouble(self.path, error) from None

    def hand_over(self, file: Path) -> None:
        """As root: gives a file just made to the owner of the folder, who may come as an ordinary user next time."""
        if os.geteuid() == 0:
            owner = self.path.stat()
            os.chown(file, owner.st_uid, owner.st_gid)

    def remove_sockets(self) -> None:
        """After a clean stop: removes a folder for sockets outside the data folder, if it is empty."""
        folder = socket_folder(self.path)
        if folder.parent != self.path and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()

    def sockets(self, account: Account) -> Path:
        """Makes the folder for the sockets, which only `account` may enter. StartError if somebody else has it."""
        folder = socket_folder(self.path)
        try:
            if folder.parent == self.path:
                account.folder(folder)
            else:
                _make_in_tmp(folder, account)
        except OSError as error:
            raise trouble(folder, error) from None
        return folder


def _make_in_tmp(folder: Path, account: Account) -> None:
    """Where anybody can write, only a folder that was made just now or is the account's own is to be trusted."""
    try:
        folder.mkdir(mode=0o700)
        os.chown(folder, account.uid, account.gid)
    except FileExistsError:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != account.uid:
            raise StartError(f"the socket folder {folder} belongs to somebody else: remove it, or {WAY_OUT}") from None
        folder.chmod(0o700)
