"""Settings: config.toml, then the environment over it, as frozen Structs.

`BROADCAST_SYNC__SECTION__KEY` replaces `[section] key`. Unknown keys, wrong types and values out of range raise
SettingsError with the key's path and what was expected. Every default here stands in config.toml as well; a
test keeps the two alike.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from broadcast_sync.errors import SettingsError

PREFIX: Final = "BROADCAST_SYNC__"
MASK: Final = "********"
_SECRET: Final = re.compile(r"(password|secret|token|private)", re.IGNORECASE)
_URL_PASSWORD: Final = re.compile(r"(://[^/@:]*:).*(@)")
_URL_QUERY_PASSWORD: Final = re.compile(r"([?&](?:password|passphrase|sslpassword)=)[^&#]*", re.IGNORECASE)

Port = Annotated[int, Meta(ge=0, le=65535)]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all sections."""


class Server(Section, frozen=True):
    host: Annotated[str, Meta(min_length=1, max_length=255)] = "127.0.0.1"
    port: Port = 8000
    backlog: Annotated[int, Meta(ge=1, le=65535)] = 4096
    stop_s: Annotated[float, Meta(ge=0.1, le=60)] = 2.0
    drain_s: Annotated[float, Meta(ge=0, le=3_600)] = 30.0
    force_drain: bool = False


class Engine(Section, frozen=True):
    valkey_url: str = ""
    postgres_url: str = ""
    data_dir: Annotated[str, Meta(min_length=1)] = "data"
    min_free_mb: Annotated[int, Meta(ge=0, le=1_000_000)] = 256
    start_timeout_s: Annotated[float, Meta(ge=1, le=300)] = 30.0
    postgres_pool: Annotated[int, Meta(ge=2, le=200)] = 8


class Auth(Section, frozen=True):
    private_key_file: str = ""
    public_key_files: Annotated[list[str], Meta(max_length=16)] = []
    token_ttl_s: Annotated[int, Meta(ge=1, le=31_536_000)] = 43_200
    leeway_s: Annotated[int, Meta(ge=0, le=300)] = 5
    expiry_grace_s: Annotated[float, Meta(ge=0, le=86_400)] = 60.0
    guests: Literal["none", "users", "all"] = "none"


class Show(Section, frozen=True):
    organisation: Name = "default"
    duration_s: Annotated[int, Meta(ge=1, le=86_400)] = 1_800
    grace_s: Annotated[float, Meta(ge=0, le=60)] = 5.0
    drain_s: Annotated[float, Meta(ge=0, le=60)] = 2.0
    ties: Literal["voters", "first", "number"] = "voters"
    visibility: Literal["public", "screens", "hidden"] = "public"
    load_demo: bool = True


class Control(Section, frozen=True):
    secret_file: str = ""
    signature_window_s: Annotated[int, Meta(ge=1, le=3_600)] = 30
    cues_per_second: Annotated[float, Meta(gt=0, le=1_000)] = 20.0
    late_cue_s: Annotated[float, Meta(ge=0.5, le=3_600)] = 5.0
    extend_limit_s: Annotated[int, Meta(ge=0, le=86_400)] = 300
    confirm_s: Annotated[float, Meta(ge=1, le=3_600)] = 60.0
    confirm_role: Annotated[str, Meta(min_length=1, max_length=64)] = "control"


class Osc(Section, frozen=True):
    enabled: bool = False
    host: Annotated[str, Meta(min_length=1, max_length=255)] = "127.0.0.1"
    port: Port = 9010
    allow: Annotated[list[str], Meta(max_length=256)] = []
    reply_port: Port = 0
    messages_per_second: Annotated[float, Meta(gt=0, le=100_000)] = 20.0
    total_per_second: Annotated[float, Meta(gt=0, le=100_000)] = 100.0


class SpliceRow(Struct, frozen=True, forbid_unknown_fields=True):
    """Which cue is made of which SCTE 35 command. `out` (into the break, or out of it) narrows splice_insert,
    `segmentation_type` time_signal; without it any will do."""

    command: Literal["splice_insert", "time_signal"]
    event: Annotated[str, Meta(min_length=1, max_length=64)]
    data: dict[str, Any] = {}
    out: bool | None = None
    segmentation_type: Annotated[int, Meta(ge=0, le=255)] | None = None


class Scte35(Section, frozen=True):
    map: Annotated[list[SpliceRow], Meta(max_length=256)] = []


Origin = Annotated[str, Meta(pattern=r"^(\*|null|[a-z][a-z0-9+.-]*://[^/]*/?)$", max_length=512)]
HttpsOrigin = Annotated[str, Meta(pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]{1,5})?$", max_length=255)]
HostName = Annotated[str, Meta(pattern=r"^(\*\.)?[^\s/:*]+$|^[0-9a-fA-F:.]+$", max_length=255)]


class Hub(Section, frozen=True):
    max_sockets: Annotated[int, Meta(ge=1, le=1_000_000)] = 18_000
    sockets_per_address: Annotated[int, Meta(ge=0, le=1_000_000)] = 4_000
    handshakes_per_second: Annotated[float, Meta(gt=0, le=1_000_000)] = 2_000.0
    handshakes_burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 4_000
    max_http: Annotated[int, Meta(ge=8, le=1_000_000)] = 1_000
    request_bytes: Annotated[int, Meta(ge=1_024, le=1_073_741_824)] = 1_048_576
    allowed_origins: Annotated[list[Origin], Meta(max_length=256)] = []
    allowed_hosts: Annotated[list[HostName], Meta(max_length=256)] = []
    trusted_proxies: Annotated[list[str], Meta(max_length=256)] = []
    message_bytes: Annotated[int, Meta(ge=256, le=1_048_576)] = 16_384
    frame_bytes: Annotated[int, Meta(ge=1024, le=67_108_864)] = 2_097_152
    messages_per_second: Annotated[float, Meta(gt=0, le=1_000_000)] = 200.0
    messages_burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 400
    bad_messages: Annotated[int, Meta(ge=1, le=100_000)] = 20
    bad_window_s: Annotated[float, Meta(ge=1, le=3_600)] = 60.0
    ping_interval_s: Annotated[float, Meta(ge=0.5, le=3_600)] = 20.0
    auth_timeout_s: Annotated[float, Meta(ge=0.1, le=300)] = 5.0
    handshake_timeout_s: Annotated[float, Meta(ge=0.1, le=300)] = 10.0
    message_timeout_s: Annotated[float, Meta(ge=0.1, le=3_600)] = 20.0
    outbox_messages: Annotated[int, Meta(ge=8, le=100_000)] = 256
    outbox_bytes: Annotated[int, Meta(ge=4_096, le=67_108_864)] = 524_288
    drain_timeout_s: Annotated[float, Meta(ge=0.1, le=300)] = 10.0
    channels_per_socket: Annotated[int, Meta(ge=1, le=10_000)] = 64
    slice_ms: Annotated[float, Meta(gt=0, le=1_000)] = 10.0
    deflate: Annotated[int, Meta(ge=0, le=9)] = 6


class Voting(Section, frozen=True):
    ruleset: Name = "xfactor"
    ruleset_files: Annotated[list[str], Meta(max_length=64)] = []
    allow_unlimited: Literal["loopback", "always", "never"] = "loopback"
    shards: Annotated[int, Meta(ge=1, le=256)] = 1
    batch_max: Annotated[int, Meta(ge=1, le=10_000)] = 512
    batch_wait_ms: Annotated[float, Meta(ge=0, le=1_000)] = 2.0
    queue_max: Annotated[int, Meta(ge=1, le=10_000_000)] = 50_000
    engine_timeout_s: Annotated[float, Meta(ge=0.1, le=60)] = 5.0


class Ledger(Section, frozen=True):
    copy_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 20_000
    poll_ms: Annotated[int, Meta(ge=1, le=60_000)] = 100
    fence_timeout_s: Annotated[float, Meta(ge=1, le=86_400)] = 600.0
    recount_s: Annotated[float, Meta(ge=1, le=86_400)] = 60.0
    stream_budget_mb: Annotated[int, Meta(ge=1, le=1_000_000)] = 256


class Results(Section, frozen=True):
    interval_ms: Annotated[int, Meta(ge=50, le=60_000)] = 1_000
    change_s: Annotated[int, Meta(ge=5, le=600)] = 60
    locale: Literal["en", "km"] = "en"
    release: Literal["auto", "cue"] = "auto"


class Api(Section, frozen=True):
    user_requests_per_minute: Annotated[int, Meta(ge=1, le=1_000_000)] = 50
    address_requests_per_minute: Annotated[int, Meta(ge=1, le=1_000_000)] = 100
    remembered_max: Annotated[int, Meta(ge=100, le=10_000_000)] = 100_000
    history_reads: Annotated[int, Meta(ge=1, le=200)] = 4


DelayMs = Annotated[int, Meta(ge=0, le=120_000)]


class Web(Section, frozen=True):
    """The viewers' page. `stream_delay_*_ms` is how far their picture is behind the studio, by platform."""

    stream_delay_ios_ms: DelayMs = 0
    stream_delay_android_ms: DelayMs = 0
    stream_delay_web_ms: DelayMs = 0
    playlist_origins: Annotated[list[HttpsOrigin], Meta(max_length=16)] = []


class Log(Section, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class Settings(Section, frozen=True):
    """All settings in force. `source` is what they were read from, for people."""

    server: Server = Server()
    engine: Engine = Engine()
    auth: Auth = Auth()
    show: Show = Show()
    control: Control = Control()
    osc: Osc = Osc()
    scte35: Scte35 = Scte35()
    hub: Hub = Hub()
    voting: Voting = Voting()
    ledger: Ledger = Ledger()
    results: Results = Results()
    api: Api = Api()
    web: Web = Web()
    log: Log = Log()

    @property
    def loopback(self) -> bool:
        """True when the server can be reached from this machine only."""
        return self.server.host in {"127.0.0.1", "::1", "localhost"} or self.server.host.startswith("127.")

    @property
    def data_path(self) -> Path:
        return Path(self.engine.data_dir).expanduser().absolute()


T = TypeVar("T")


def _expected(error: msgspec.ValidationError, prefix: str = "") -> str:
    """msgspec's message turned round: first the path, then what was expected."""
    text = str(error)
    body, _, path = text.partition(" - at `")
    where = path.rstrip("`").removeprefix("$").removeprefix(".")
    unknown = re.match(r"Object contains unknown field `(.*)`", body)
    if unknown:
        where = ".".join(part for part in (prefix, where, unknown[1]) if part)
        return f"{where}: unknown setting; `broadcast-sync config` lists the known ones"
    where = ".".join(part for part in (prefix, where) if part)
    return f"{where or 'config'}: {body[0].lower()}{body[1:]}"


def _convert(value: object, to: type[T], prefix: str = "", *, strict: bool = True) -> T:
    try:
        return msgspec.convert(value, to, strict=strict)
    except msgspec.ValidationError as error:
        raise SettingsError(_expected(error, prefix)) from None


def _sections() -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(Settings)}


def _from_environment(environ: Mapping[str, str]) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(PREFIX):
            continue
        section, _, key = variable.removeprefix(PREFIX).lower().partition("__")
        struct = _sections().get(section)
        kinds = {field.name: field.type for field in msgspec.structs.fields(struct)} if struct else {}
        if key not in kinds:
            raise SettingsError(f"{variable}: there is no setting {section}.{key or '?'}")
        value: object = text
        if text.startswith("["):
            try:
                value = msgspec.json.decode(text)
            except msgspec.DecodeError as error:
                raise SettingsError(f"{variable}: expected a JSON list ({error})") from None
        found.setdefault(section, {})[key] = _convert(value, kinds[key], variable, strict=False)
    return found


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Reads `path` (default: ./config.toml if there is one) and the environment.

    Raises SettingsError, whose text is one line and whose exit code is 2.
    """
    raw: dict[str, Any] = {}
    file = path or Path("config.toml")
    if path is not None or file.exists():
        try:
            raw = tomllib.loads(file.read_text("utf-8"))
        except OSError as error:
            raise SettingsError(f"{file}: cannot be read ({error.strerror}); name another with --config") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{file}: not TOML ({error})") from None
    _convert(raw, Settings)
    for section, keys in _from_environment(os.environ if environ is None else environ).items():
        raw.setdefault(section, {}).update(keys)
    return _convert(raw, Settings)


def mask_url(url: str) -> str:
    """The URL for people: its password masked, wherever it stands."""
    return _URL_QUERY_PASSWORD.sub(rf"\1{MASK}", _URL_PASSWORD.sub(rf"\1{MASK}\2", url))


def masked(settings: Settings) -> dict[str, dict[str, object]]:
    """The settings as plain dicts, passwords in URLs and values of secret keys masked."""
    shown: dict[str, dict[str, object]] = msgspec.to_builtins(settings)
    for keys in shown.values():
        for key, value in keys.items():
            if isinstance(value, str) and value:
                if _SECRET.search(key) and not key.endswith("_file"):
                    keys[key] = MASK
                else:
                    keys[key] = mask_url(value)
    return shown
