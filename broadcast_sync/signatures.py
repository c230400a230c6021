"""Signatures that anybody can check offline: Ed25519 (RFC 8032) over canonical JSON, with the key that signs tokens.

Canonical JSON here: UTF-8, keys sorted, no white space, nothing escaped that need not be; whole numbers only. A sealed
document carries `keyId` (the key's RFC 7638 thumbprint, signed with the rest) and `signature` (base64url without
padding, over the canonical bytes of everything else).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ALGORITHM: Final = "EdDSA"
SIGNATURE_BYTES: Final = 64


class Forged(Exception):
    """A signature, or what it stands under, is not what it says; the text is one line that says why."""


def canonical(value: object) -> bytes:
    """The one JSON text of `value`, as it is signed."""
    return msgspec.json.encode(value, order="sorted")


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """The bytes of `b64`. Forged for any other spelling of the same bytes: unused bits, padding, foreign characters."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Forged("has a part that is not base64url") from None
    if b64(data) != text:
        raise Forged("has base64url that is not written in the one right way")
    return data


def jwk(public: Ed25519PublicKey) -> dict[str, str]:
    """The key as a JSON Web Key (RFC 8037) with its id."""
    raw = b64(public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw))
    return {"kty": "OKP", "crv": "Ed25519", "x": raw, "kid": _thumbprint(raw), "alg": ALGORITHM, "use": "sig"}


def _thumbprint(raw: str) -> str:
    return b64(sha256(canonical({"crv": "Ed25519", "kty": "OKP", "x": raw})).digest())


class Signer:
    """Signs with the server's key. `key_id` is what others look the key up by."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.jwk: Final = jwk(key.public_key())
        self.key_id: Final = self.jwk["kid"]

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of a signature; about 40 microseconds."""
        return self._key.sign(message)

    def seal(self, content: dict[str, Any]) -> dict[str, Any]:
        """`content` with `keyId` and `signature`."""
        signed = {**content, "keyId": self.key_id}
        return {**signed, "signature": b64(self.sign(canonical(signed)))}

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public half as a JSON Web Key Set."""
        return {"keys": [self.jwk]}


class Keyring:
    """Public keys that signatures are checked with, by key id."""

    def __init__(self, keys: Iterable[Ed25519PublicKey]) -> None:
        self._keys = {jwk(key)["kid"]: key for key in keys}

    @classmethod
    def of_pem(cls, pem: bytes) -> Keyring:
        """From one Ed25519 key in PEM, public or private. ValueError if it is none."""
        try:
            if b"PRIVATE KEY" in pem:
                private = serialization.load_pem_private_key(pem, None)
                key = private.public_key() if isinstance(private, Ed25519PrivateKey) else None
            else:
                public = serialization.load_pem_public_key(pem)
                key = public if isinstance(public, Ed25519PublicKey) else None
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if key is None:
            raise ValueError("not an Ed25519 key in PEM")
        return cls([key])

    @classmethod
    def of_jwks(cls, text: bytes) -> Keyring:
        """From a JSON Web Key Set; keys of other kinds in it are passed over. ValueError if none is left."""
        try:
            entries = msgspec.json.decode(text, type=dict[str, Any]).get("keys")
            keys = [
                Ed25519PublicKey.from_public_bytes(unb64(entry["x"]))
                for entry in (entries if isinstance(entries, list) else [])
                if isinstance(entry, dict) and entry.get("kty") == "OKP" and entry.get("crv") == "Ed25519"
            ]
        except (msgspec.MsgspecError, KeyError, TypeError, AttributeError, ValueError, Forged):
            keys = []
        if not keys:
            raise ValueError("not a JSON Web Key Set with an Ed25519 key")
        return cls(keys)

    def check(self, key_id: object, signature: bytes, message: bytes) -> None:
        """Returns if the key signed `message`; raises Forged if it did not or is not known here."""
        key = self._keys.get(key_id) if isinstance(key_id, str) else None
        if key is None:
            known = ", ".join(self._keys)
            raise Forged(f"is signed with the key {str(key_id)[:64]!r}, which is not the one given ({known})")
        try:
            key.verify(signature, message)
        except InvalidSignature:
            raise Forged("has a signature that does not belong to it: one of the two was changed") from None

    def open(self, document: dict[str, Any]) -> dict[str, Any]:
        """What was sealed in `document`. Raises Forged."""
        content = {name: value for name, value in document.items() if name != "signature"}
        signature = document.get("signature")
        if not isinstance(signature, str):
            raise Forged("has no signature")
        self.check(content.get("keyId"), unb64(signature), canonical(content))
        return content
