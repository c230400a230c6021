"""`broadcast-sync verify FILE`: checks a certificate or a receipt with nothing but the file and the public key."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import orjson
import typer
from msgspec import Struct

from broadcast_sync import settings as configuration
from broadcast_sync.errors import StartError
from broadcast_sync.signatures import Forged, Keyring, canonical
from results.certificate import FORMAT, Certificate, contradictions
from voting.receipts.receipt import PREFIX, check

MOST_BYTES: Final = 16 * 1024 * 1024
FETCH_S: Final = 10.0


class Verdict(Struct, frozen=True, rename="camel"):
    """What was found. `faults` are in plain words, empty exactly when `valid`."""

    kind: str
    valid: bool
    faults: list[str]
    content: dict[str, Any]


def verify(
    file: Annotated[Path, typer.Argument(help="A certificate (GET /api/v1/results/WINDOW/certificate) or a receipt.")],
    key: Annotated[Path | None, typer.Option(help="The server's public key in PEM.")] = None,
    keys_url: Annotated[str | None, typer.Option(help="Its keys as GET /api/v1/keys gives them: file or URL.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file, for the key on this machine.")] = None,
) -> None:
    """Check a certificate or a receipt offline: exit 0 valid, 1 not valid, 2 not readable.

    The key is by default this machine's own.
    """
    ring = _keyring(key, keys_url, config)
    verdict = examine(_read(file), ring)
    if as_json:
        typer.echo(orjson.dumps(msgspec.to_builtins(verdict), option=orjson.OPT_INDENT_2).decode())
    else:
        _show(file, verdict)
    if not verdict.valid:
        raise typer.Exit(1)


def examine(data: bytes, ring: Keyring) -> Verdict:
    """PURE. The verdict on the bytes of a certificate or of a receipt; one final line feed is forgiven, nothing else.
    StartError (exit 2) if they are neither."""
    data = data.removesuffix(b"\n")
    if data.startswith(PREFIX.encode()):
        return _receipt(data, ring)
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise StartError("this is not JSON, so no certificate, and no receipt", exit_code=2) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StartError(f"this is no certificate: its format is not {FORMAT}", exit_code=2)
    faults: list[str] = []
    try:
        if canonical(document) != data:
            raise Forged("is not in canonical form (keys sorted, no white space); `jq -cS .` mends a mere reformatting")
        opened = ring.open(document)
        faults += contradictions(msgspec.convert(opened, Certificate))
    except Forged as forged:
        faults.append(f"it {forged}")
    except msgspec.ValidationError as error:
        faults.append(f"it is signed, and not a certificate of this version: {error}")
    return Verdict("certificate", not faults, faults, document)


def _receipt(data: bytes, ring: Keyring) -> Verdict:
    try:
        said = check(data.decode("ascii"), ring)
    except Forged as forged:
        return Verdict("receipt", False, [f"it {forged}"], {})
    except UnicodeDecodeError:
        return Verdict("receipt", False, ["it has characters that no receipt has"], {})
    return Verdict("receipt", True, [], msgspec.to_builtins(said))


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise StartError(f"{file}: cannot be read ({error.strerror})", exit_code=2) from None
    if len(data) > MOST_BYTES:
        raise StartError(f"{file}: larger than {MOST_BYTES:,} bytes, so no certificate", exit_code=2)
    return data


def _keyring(key: Path | None, keys_url: str | None, config: Path | None) -> Keyring:
    """The keys to check with. StartError (exit 2) if there are none to be had."""
    if key is not None and keys_url is not None:
        raise StartError("--key and --keys-url exclude each other", exit_code=2)
    try:
        if keys_url is not None:
            return Keyring.of_jwks(_fetch(keys_url) if "://" in keys_url else _read(Path(keys_url)))
        if key is None:
            settings = configuration.load(config)
            key = Path(settings.auth.private_key_file or settings.data_path / "keys" / "signing.pem")
            if not key.exists():
                raise StartError("there is no key on this machine; give one with --key or --keys-url", exit_code=2)
        return Keyring.of_pem(_read(key))
    except ValueError as error:
        raise StartError(f"{keys_url or key}: {error}", exit_code=2) from None


def _fetch(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=FETCH_S) as answer:
            data: bytes = answer.read(MOST_BYTES)
            return data
    except (OSError, ValueError) as error:
        raise StartError(f"{url}: cannot be read ({error})", exit_code=2) from None


def _show(file: Path, verdict: Verdict) -> None:
    content = verdict.content
    if verdict.valid and verdict.kind == "receipt":
        what = f"vote {content['voteId']}" if content["voteId"] else content["code"]
        typer.echo(f"valid: {content['outcome']} at {content['at']}, {what}, for {content['contestantId']}")
        return
    if verdict.valid:
        typer.echo(
            f"valid: window {content['windowId']} of {content['showId']} episode {content['episode']}, "
            f"{content['ledgerTotal']:,} votes, recount {content['recount']}, certified {content['certifiedAt']}"
        )
        return
    typer.echo(f"NOT VALID: {file}", err=True)
    for fault in verdict.faults:
        typer.echo(f"  {fault}", err=True)
