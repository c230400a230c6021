from __future__ import annotations

import stat
import time
from pathlib import Path

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broadcast_sync.errors import Refusal, StartError
from broadcast_sync.settings import Auth, Engine, Settings
from broadcast_sync.tokens import Tokens, control_secret, signing_key


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(engine=Engine(data_dir=str(tmp_path / "data")))


def soon() -> int:
    return int(time.time()) + 60


def test_keys_are_made_once_and_kept_private(settings: Settings) -> None:
    first = Tokens(settings).sign("u1", "default", ["user"], soon())
    identity = Tokens(settings).check(first)
    assert (identity.user_id, identity.organisation) == ("u1", "default")
    assert identity.has("user") and not identity.has("control")
    assert control_secret(settings) == control_secret(settings)
    for name in ("signing.pem", "control.secret"):
        assert stat.S_IMODE((settings.data_path / "keys" / name).stat().st_mode) == 0o600
    assert sorted(path.name for path in (settings.data_path / "keys").iterdir()) == ["control.secret", "signing.pem"]


def test_admin_holds_every_role(settings: Settings) -> None:
    tokens = Tokens(settings)
    assert tokens.check(tokens.sign("a", "default", ["admin"], soon())).has("control")


def test_expired_is_told_apart(settings: Settings) -> None:
    tokens = Tokens(settings)
    with pytest.raises(Refusal) as caught:
        tokens.check(tokens.sign("u1", "default", ["user"], int(time.time()) - 60))
    assert caught.value.code == "TOKEN_EXPIRED"


def claims(**changed: object) -> dict[str, object]:
    return {"sub": "u1", "org": "default", "roles": ["user"], "exp": soon(), **changed}


@pytest.mark.parametrize(
    "bad",
    [
        {"sub": ""}, {"sub": 7}, {"sub": "x" * 129}, {"sub": "a\nb"}, {"org": None}, {"roles": "user"}, {"roles": [1]},
        {"exp": "soon"}, {"exp": None},
    ],
)
def test_claims_of_the_wrong_shape_are_refused(settings: Settings, bad: dict[str, object]) -> None:
    tokens = Tokens(settings)
    token = jwt.encode(claims(**bad), signing_key(settings), algorithm="EdDSA")
    with pytest.raises(Refusal) as caught:
        tokens.check(token)
    assert caught.value.code == "UNAUTHENTICATED"


def test_other_keys_no_algorithm_and_rubbish_are_refused(settings: Settings) -> None:
    tokens = Tokens(settings)
    public = signing_key(settings).public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = {"alg": "HS256", "typ": "JWT"}
    confused = jwt.encode(claims(), "k" * 64, algorithm="HS256", headers=header)
    for token in (
        jwt.encode(claims(), Ed25519PrivateKey.generate(), algorithm="EdDSA"),
        jwt.encode(claims(), None, algorithm="none"),  # type: ignore[arg-type]  # that is the attack
        confused,
        public.decode(),
        "",
        "a.b.c",
        "\x00",
        "x" * 5000,
    ):
        with pytest.raises(Refusal) as caught:
            tokens.check(token)
        assert caught.value.code == "UNAUTHENTICATED"


def test_trusted_rs256_keys_are_accepted(settings: Settings, tmp_path: Path) -> None:
    private = rsa.generate_private_key(65537, 2048)
    file = tmp_path / "backend.pem"
    file.write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    trusting = msgspec.structs.replace(settings, auth=Auth(public_key_files=[str(file)]))
    token = jwt.encode(claims(), private, algorithm="RS256")
    assert Tokens(trusting).check(token).user_id == "u1"
    with pytest.raises(Refusal):
        Tokens(settings).check(token)


def test_unusable_key_files_say_so(settings: Settings, tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("no key")
    for auth in (Auth(public_key_files=[str(rubbish)]), Auth(private_key_file=str(rubbish))):
        with pytest.raises(StartError, match="rubbish"):
            Tokens(msgspec.structs.replace(settings, auth=auth))
    with pytest.raises(StartError, match="cannot be read"):
        Tokens(msgspec.structs.replace(settings, auth=Auth(private_key_file=str(tmp_path / "none.pem"))))
