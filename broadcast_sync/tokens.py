"""Who somebody is: JWTs signed with our own Ed25519 key, or with a key the operator trusts (EdDSA or RS256).

Claims: `sub` (1 to 128 characters), `org`, `roles`, `exp`, and OpenID Connect's `phone_number_verified`.
The key is made on first start and kept with mode 0600.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated, Final

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from msgspec import Meta, Struct

from broadcast_sync.errors import Refusal, StartError
from broadcast_sync.settings import Settings

ROLES: Final = frozenset({"user", "screen", "control", "viewer", "moderator", "admin"})


class Identity(Struct, frozen=True):
    """A checked token. `expires_ms` in Unix milliseconds; it is taken for `leeway_ms` longer, as clocks differ.
    `phone_verified` as whoever signed the token says."""

    user_id: str
    organisation: str
    roles: frozenset[str]
    expires_ms: int
    leeway_ms: int = 0
    phone_verified: bool = False

    def has(self, *roles: str) -> bool:
        """True if any of `roles`, or `admin`, is held."""
        return not self.roles.isdisjoint((*roles, "admin"))

    def expired(self, now_ms: int) -> bool:
        """Whether the token is no longer taken."""
        return now_ms >= self.expires_ms + self.leeway_ms

    def heed_expiry(self, now_ms: int) -> None:
        """Raises Refusal TOKEN_EXPIRED once the token is no longer taken: a socket outlives its token by a grace, in
        which it may watch and sign in again."""
        if self.expired(now_ms):
            raise Refusal("TOKEN_EXPIRED")


class _Claims(Struct, frozen=True):
    sub: Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
    org: Annotated[str, Meta(min_length=1, max_length=63)]
    roles: Annotated[list[Annotated[str, Meta(max_length=32)]], Meta(max_length=16)]
    exp: int
    phone_number_verified: bool = False


def write_secret(path: Path, content: bytes) -> None:
    """Writes a new file that only its owner may read, whole or not at all. Keeps an existing one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process made it in the same moment: its key is the key
    finally:
        draft.unlink()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartError(f"{path}: cannot be read ({error.strerror}); check auth and control in config.toml") from None


def signing_key(settings: Settings) -> Ed25519PrivateKey:
    """The process's Ed25519 key, made under the data folder when there is none. Raises StartError."""
    path = Path(settings.auth.private_key_file or settings.data_path / "keys" / "signing.pem")
    if not settings.auth.private_key_file and not path.exists():
        made = Ed25519PrivateKey.generate()
        write_secret(
            path,
            made.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
    try:
        key = serialization.load_pem_private_key(_read(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise StartError(f"{path}: not an unencrypted Ed25519 private key in PEM; make one with `openssl genpkey`")
    return key


def control_secret(settings: Settings) -> bytes:
    """The secret that signs cues over HTTP (hexadecimal in its file), made when there is none. Raises StartError."""
    path = Path(settings.control.secret_file or settings.data_path / "keys" / "control.secret")
    if not settings.control.secret_file and not path.exists():
        write_secret(path, secrets.token_hex(32).encode() + b"\n")
    secret = _read(path).strip()
    if len(secret) < 32:
        raise StartError(f"{path}: a control secret needs at least 32 characters")
    return secret


class Tokens:
    """Signs with the process's key; checks tokens of that key and of every trusted public key."""

    def __init__(self, settings: Settings, key: Ed25519PrivateKey | None = None) -> None:
        self._key = key or signing_key(settings)
        self._leeway_s = settings.auth.leeway_s
        self._trusted: list[tuple[str, Ed25519PublicKey | RSAPublicKey]] = [("EdDSA", self._key.public_key())]
        for name in settings.auth.public_key_files:
            try:
                public = serialization.load_pem_public_key(_read(Path(name)))
            except (ValueError, UnsupportedAlgorithm):
                public = None
            if isinstance(public, Ed25519PublicKey):
                self._trusted.append(("EdDSA", public))
            elif isinstance(public, RSAPublicKey) and public.key_size >= 2048:
                self._trusted.append(("RS256", public))
            else:
                raise StartError(f"{name}: auth.public_key_files takes Ed25519 or RSA (2048 bits or more) keys in PEM")

    def sign(self, subject: str, organisation: str, roles: list[str], expires_s: int) -> str:
        """A token that is valid until `expires_s` (Unix seconds)."""
        claims = {"sub": subject, "org": organisation, "roles": roles, "exp": expires_s}
        return jwt.encode(claims, self._key, algorithm="EdDSA")

    def check(self, token: str) -> Identity:
        """The identity a token proves. Raises Refusal UNAUTHENTICATED or TOKEN_EXPIRED; only the algorithm that
        belongs to a key is ever tried with it."""
        for algorithm, key in self._trusted:
            try:
                payload = jwt.decode(
                    token, key, algorithms=[algorithm], leeway=self._leeway_s,
                    options={"require": ["exp", "sub"], "verify_aud": False},
                )
                claims = msgspec.convert(payload, _Claims)
            except jwt.ExpiredSignatureError:
                raise Refusal("TOKEN_EXPIRED") from None
            except jwt.InvalidSignatureError:
                continue
            except jwt.InvalidAlgorithmError:
                continue
            except (jwt.InvalidTokenError, msgspec.ValidationError) as error:
                raise Refusal("UNAUTHENTICATED", f"The token is not valid: {error}") from None
            return Identity(
                claims.sub, claims.org, frozenset(claims.roles), claims.exp * 1000, self._leeway_s * 1000,
                claims.phone_number_verified,
            )
        raise Refusal("UNAUTHENTICATED", "The token is not signed by a trusted key.")
