"""As root: lets the engines' account through to the files it needs, and nobody else if that can be had.

A folder on the way that the account may not enter (`/root` is the usual one) gets an access control entry
"this account: enter, no list, no read". Where a file system has none of those, `o+x` is the next smallest thing.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import sys
from pathlib import Path
from typing import Final, NamedTuple

import structlog

log = structlog.get_logger()

_NAME: Final = "system.posix_acl_access"
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_NO_ID: Final = 0xFFFF_FFFF
_ENTER: Final = 1


class Entry(NamedTuple):
    """One line of an access control list, in the order the kernel wants them sorted."""

    tag: int
    id: int
    permissions: int


def decode(raw: bytes) -> list[Entry]:
    """The entries of an extended attribute `system.posix_acl_access` (version 2, little endian)."""
    return [Entry(tag, who, permissions) for tag, permissions, who in struct.iter_unpack("<HHI", raw[4:])]


def encode(entries: list[Entry]) -> bytes:
    """The inverse of `decode`."""
    packed = (struct.pack("<HHI", entry.tag, entry.permissions, entry.id) for entry in sorted(entries))
    return struct.pack("<I", 2) + b"".join(packed)


def of_mode(mode: int) -> list[Entry]:
    """The list that stands for a plain mode."""
    return [
        Entry(_USER_OBJ, _NO_ID, mode >> 6 & 7),
        Entry(_GROUP_OBJ, _NO_ID, mode >> 3 & 7),
        Entry(_OTHER, _NO_ID, mode & 7),
    ]


def admitting(entries: list[Entry], uid: int) -> list[Entry]:
    """The same list, which lets `uid` enter as well; nobody else gains anything by it."""
    kept = [entry for entry in entries if entry.tag != _MASK and (entry.tag, entry.id) != (_USER, uid)]
    before = next((entry for entry in entries if (entry.tag, entry.id) == (_USER, uid)), Entry(_USER, uid, 0))
    named = Entry(_USER, uid, before.permissions | _ENTER)
    mask = next((entry for entry in entries if entry.tag == _MASK), None)
    limit = mask.permissions if mask else next(entry.permissions for entry in entries if entry.tag == _GROUP_OBJ)
    return sorted([*kept, named, Entry(_MASK, _NO_ID, limit | _ENTER)])


def enters(entries: list[Entry], owner: tuple[int, int], uid: int, gid: int) -> bool:
    """True if a process of `uid` and `gid` alone may enter a folder of `owner` (uid, gid) with this list."""
    by_tag = {(entry.tag, entry.id if entry.tag in (_USER, _GROUP) else 0): entry.permissions for entry in entries}
    mask = by_tag.get((_MASK, 0), 7)
    if uid == owner[0]:
        return bool(by_tag[_USER_OBJ, 0] & _ENTER)
    if (_USER, uid) in by_tag:
        return bool(by_tag[_USER, uid] & mask & _ENTER)
    groups = [by_tag[_GROUP_OBJ, 0]] if gid == owner[1] else []
    groups += [by_tag[_GROUP, gid]] if (_GROUP, gid) in by_tag else []
    if groups:
        return any(permissions & mask & _ENTER for permissions in groups)
    return bool(by_tag[_OTHER, 0] & _ENTER)


def let_through(path: Path, uid: int, gid: int) -> None:
    """Lets `uid` enter `path` and every folder above it. Only for root; logs each folder it had to change."""
    for folder in (*reversed(path.parents), path):
        status = folder.stat()
        entries = _read(folder, status.st_mode)
        if enters(entries, (status.st_uid, status.st_gid), uid, gid):
            continue
        if _write(folder, admitting(entries, uid)):
            log.info("folder_opened_for_engines", folder=str(folder), uid=uid)
        else:
            folder.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)
            log.warning("folder_opened_for_everybody", folder=str(folder), why="no access control lists here")


def make_readable(folder: Path) -> None:
    """Lets everybody read the programs below `folder`: a wheel installed under a tight umask. Only for root."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        wanted = mode | 0o044 | (0o011 if path.is_dir() or mode & stat.S_IXUSR else 0)
        if wanted != mode:
            path.chmod(wanted)


def _read(folder: Path, mode: int) -> list[Entry]:
    if sys.platform != "linux":
        return of_mode(mode)
    try:
        return decode(os.getxattr(folder, _NAME))
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return of_mode(mode)
        raise


def _write(folder: Path, entries: list[Entry]) -> bool:
    if sys.platform != "linux":
        return False
    try:
        os.setxattr(folder, _NAME, encode(entries))
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM, errno.EINVAL):
            return False
        raise
    return True
