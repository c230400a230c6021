"""The data folder: what can be used, of which version, and who holds it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import msgspec
import pytest

from broadcast_sync.engine.folder import SOCKET_NAME, SOCKET_PATH_MAX, DataFolder, Version, socket_folder, trouble
from broadcast_sync.engine.record import EngineRecord, FolderLock, Record, read_record, remove_record, write_record
from broadcast_sync.errors import StartError

ENGINE = EngineRecord("unix:///s", "9.1.2", True, 7, 1)


def refusal(folder: DataFolder) -> str:
    with pytest.raises(StartError) as caught:
        folder.open()
        folder.check_version()
    assert "\n" not in str(caught.value)
    assert "BROADCAST_SYNC__ENGINE__DATA_DIR" in str(caught.value)
    return str(caught.value)


def test_a_new_folder_is_made_for_its_owner_alone_and_signed(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "a" / "data")
    folder.open()
    folder.check_version()
    folder.check_version()
    assert folder.path.stat().st_mode & 0o777 == 0o700
    assert msgspec.json.decode((folder.path / "VERSION").read_bytes(), type=Version) == Version(1, 18)


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert "is a file" in refusal(DataFolder(tmp_path / "data"))
    assert "inside a file" in refusal(DataFolder(tmp_path / "data" / "deeper"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"format": 2, "postgres": 18}', "format 2, PostgreSQL 18"),
        ('{"format": 1, "postgres": 19}', "format 1, PostgreSQL 19"),
        ("17", "cannot be understood"),
        ("", "cannot be understood"),
    ],
)
def test_another_version_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "VERSION").write_text(content)
    assert said in refusal(DataFolder(tmp_path))


def test_an_unsigned_cluster_is_judged_by_its_own_version(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("17\n")
    assert "PostgreSQL 17" in refusal(DataFolder(tmp_path))
    assert not (tmp_path / "VERSION").exists()


def test_too_little_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"MB free and 1000000000 are wanted: free some space, lower engine.min_free"):
        DataFolder(tmp_path).check_space(1_000_000_000)


def test_a_full_disk_has_its_own_words(tmp_path: Path) -> None:
    assert "is full" in str(trouble(tmp_path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))))
    assert "read-only" in str(trouble(tmp_path, OSError(errno.EROFS, os.strerror(errno.EROFS))))


@pytest.mark.parametrize("name", ["x" * 120, "a,b", 'a"b', "ខ្មែរ" * 8])
def test_sockets_go_elsewhere_when_the_path_will_not_do(name: str) -> None:
    data = Path("/srv") / name
    folder = socket_folder(data)
    assert folder.parent == Path("/tmp")
    assert folder == socket_folder(data) != socket_folder(data / "other")
    assert len(os.fsencode(folder / SOCKET_NAME)) <= SOCKET_PATH_MAX


def test_sockets_stay_inside_otherwise() -> None:
    assert socket_folder(Path("/srv/da ta")) == Path("/srv/da ta/run")


def test_the_lock_is_had_once_and_names_its_holder(tmp_path: Path) -> None:
    first, second = FolderLock(DataFolder(tmp_path)), FolderLock(DataFolder(tmp_path))
    assert first.take("server", 8000)
    assert not second.take("command", 0)
    holder = second.holder()
    assert holder is not None
    assert (holder.role, holder.pid, holder.port) == ("server", os.getpid(), 8000)
    first.release()
    first.release()
    assert second.take("command", 0)
    second.release()


async def test_a_second_server_is_refused_at_once(tmp_path: Path) -> None:
    first, second = FolderLock(DataFolder(tmp_path)), FolderLock(DataFolder(tmp_path))
    first.take("server", 8000)
    with pytest.raises(StartError, match=rf"in use by a live server \(pid {os.getpid()}, port 8000\): stop it, or set"):
        await second.take_for_server(8001, 10.0)
    assert not await second.take_for_command(10.0)
    first.release()


async def test_a_command_is_waited_for_but_not_for_ever(tmp_path: Path) -> None:
    first, second = FolderLock(DataFolder(tmp_path)), FolderLock(DataFolder(tmp_path))
    first.take("command", 0)
    with pytest.raises(StartError, match=rf"still in use by a command \(pid {os.getpid()}\)"):
        await second.take_for_server(8001, 0.0)
    first.release()
    await second.take_for_server(8001, 0.0)
    second.release()


def test_the_record_is_private_and_read_back(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert read_record(folder) is None
    record = Record(ENGINE, EngineRecord("postgresql://u:p@h/d", "18.4", False, 0, 0))
    write_record(folder, record)
    assert read_record(folder) == record
    assert (tmp_path / "engines.json").stat().st_mode & 0o777 == 0o600
    (tmp_path / "engines.json").write_text("{")
    assert read_record(folder) is None
    remove_record(folder)
    remove_record(folder)
    assert not (tmp_path / "engines.json").exists()
