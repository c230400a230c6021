from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from broadcast_sync import settings
from broadcast_sync.errors import SettingsError

ROOT = Path(__file__).resolve().parents[3]


def test_config_toml_shows_every_setting_with_its_default() -> None:
    shipped = tomllib.loads((ROOT / "config.toml").read_text())
    assert shipped == msgspec.to_builtins(settings.Settings())


def test_every_setting_has_a_comment() -> None:
    for line in (ROOT / "config.toml").read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            assert "# " in line, line


def test_environment_overrides_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[server]\nport = 9000\nhost = '0.0.0.0'\n")
    environ = {"BROADCAST_SYNC__SERVER__PORT": "9001", "BROADCAST_SYNC__SHOW__LOAD_DEMO": "false", "HOME": "/x"}
    loaded = settings.load(file, environ)
    assert (loaded.server.port, loaded.server.host, loaded.show.load_demo) == (9001, "0.0.0.0", False)
    assert not loaded.loopback


def test_lists_in_the_environment_are_json() -> None:
    loaded = settings.load(None, {"BROADCAST_SYNC__AUTH__PUBLIC_KEY_FILES": '["a.pem", "b.pem"]'})
    assert loaded.auth.public_key_files == ["a.pem", "b.pem"]


@pytest.mark.parametrize(
    ("toml", "path", "expected"),
    [
        ("[server]\nprot = 1", "server.prot", "unknown setting"),
        ("[sever]\nport = 1", "sever", "unknown setting"),
        ("[server]\nport = '8000'", "server.port", "expected `int`, got `str`"),
        ("[server]\nport = 70000", "server.port", "expected `int` <= 65535"),
        ("[server]\nport = -1", "server.port", "expected `int` >= 0"),
        ("[voting]\nallow_unlimited = 'yes'", "voting.allow_unlimited", "invalid enum value"),
        ("server = 3", "server", "expected `object`"),
        ("[server", "", "not TOML"),
        ("[show]\norganisation = '../x'", "show.organisation", "matching regex"),
        ("[hub]\nslice_ms = nan", "hub.slice_ms", "expected"),
    ],
)
def test_bad_files_name_the_path_and_what_was_expected(tmp_path: Path, toml: str, path: str, expected: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(toml)
    with pytest.raises(SettingsError) as caught:
        settings.load(file, {})
    assert path in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BROADCAST_SYNC__SERVER__PORT", "eight"),
        ("BROADCAST_SYNC__SERVER__PROT", "8"),
        ("BROADCAST_SYNC__SERVER", "8"),
        ("BROADCAST_SYNC__NOPE__X", "8"),
        ("BROADCAST_SYNC__AUTH__PUBLIC_KEY_FILES", "[1"),
        ("BROADCAST_SYNC__AUTH__PUBLIC_KEY_FILES", "a.pem"),
    ],
)
def test_bad_environment_names_the_variable(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=variable):
        settings.load(None, {variable: value})


def test_a_missing_file_that_was_named_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        settings.load(tmp_path / "none.toml", {})


def test_passwords_are_masked() -> None:
    loaded = settings.load(None, {"BROADCAST_SYNC__ENGINE__POSTGRES_URL": "postgresql://vote:hunter2@db/votes"})
    shown = settings.masked(loaded)
    assert "hunter2" not in repr(shown)
    assert shown["engine"]["postgres_url"] == "postgresql://vote:********@db/votes"


@pytest.mark.parametrize(
    "toml",
    ["stream_delay_ios_ms = 120001", "playlist_origins = ['http://a.example']", "playlist_origins = ['https://a; *']"],
)
def test_what_the_phone_page_is_told_is_bounded(tmp_path: Path, toml: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f"[web]\n{toml}")
    with pytest.raises(SettingsError, match="web"):
        settings.load(file, {})
