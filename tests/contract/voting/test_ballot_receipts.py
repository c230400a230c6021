"""Receipts of real ballots: accepted, refused at once, refused by the engine, and answered again."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from redis.asyncio import Redis

from broadcast_sync.errors import Refusal
from broadcast_sync.ids import uuid7
from broadcast_sync.signatures import Keyring, Signer
from broadcast_sync.wire.server import VoteAck
from broadcast_sync.wire.times import iso
from tests.support.ballots import FakeSession, FixedClock, ballot_settings, brisk, stage_of, vote
from voting.ballot.gates import Gates
from voting.ballot.intake import BallotIntake
from voting.receipts.issuer import ReceiptIssuer
from voting.receipts.receipt import Answered, check

KEY = Ed25519PrivateKey.generate()
RING = Keyring([KEY.public_key()])


class Scene:
    """An open window of the ruleset `brisk`, and one voter's session."""

    def __init__(self, client: Redis) -> None:
        settings = ballot_settings()
        self.gates = Gates(settings, client, {**Gates(settings, client)._rulesets, "brisk": brisk()})
        self.stage = stage_of(self.gates.ruleset("brisk"))
        assert self.stage.window is not None
        self.window = self.stage.window
        self.clock = FixedClock(self.window.opens_ms + 5)
        self.signatures = 0
        self.issuer = ReceiptIssuer(Signer(KEY), "default")
        real = self.issuer._signer.sign

        def counted(message: bytes) -> bytes:
            self.signatures += 1
            return real(message)

        self.issuer._signer.sign = counted  # type: ignore[method-assign]
        self.ballots = BallotIntake(
            settings, self.clock, client, self.gates, lambda: self.stage, receipts=self.issuer
        )
        self.session = FakeSession()

    async def cast(self, *ids: str, receipt: bool = True, **more: object) -> list[VoteAck | Refusal]:
        for id in ids:
            ballot = msgspec.structs.replace(vote(id, **more), receipt=receipt)  # type: ignore[arg-type]
            self.ballots.handle(self.session, ballot, self.clock.now)
        await self.ballots.drain()
        answers, self.session.answers = self.session.answers, []
        return answers


@pytest.fixture
async def scene(valkey: Redis) -> AsyncIterator[Scene]:
    made = Scene(valkey)
    await made.gates.opening(made.stage)
    yield made


def proved(answer: VoteAck | Refusal) -> Answered:
    receipt = answer.receipt if isinstance(answer, VoteAck) else (answer.detail or {})["receipt"]
    assert isinstance(receipt, str)
    return check(receipt, RING)


async def test_an_accepted_ballot_has_its_receipt(scene: Scene) -> None:
    [ack] = await scene.cast("b1", count=2)
    assert isinstance(ack, VoteAck)
    assert proved(ack) == Answered(
        organisation="default", outcome="accepted", id="b1", at=iso(scene.clock.now), window_id=scene.window.window_id,
        contestant_id="c1", vote_type="free", vote_count=2, vote_id=ack.vote_id,
    )
    [again] = await scene.cast("b1")
    assert isinstance(again, VoteAck) and again.replayed and again.receipt != ack.receipt
    told = proved(again)
    assert (told.vote_id, told.vote_count, told.at, told.window_id) == (ack.vote_id, 2, iso(scene.clock.now), "")


async def test_ballots_of_one_turn_share_one_signature(scene: Scene) -> None:
    answers = await scene.cast("b1", "b2", "b3", "b4")
    assert [proved(answer).id for answer in answers] == ["b1", "b2", "b3", "b4"]
    assert scene.signatures == 1


async def test_who_does_not_ask_gets_and_costs_nothing(scene: Scene) -> None:
    [ack] = await scene.cast("b1", receipt=False)
    assert isinstance(ack, VoteAck) and ack.receipt is msgspec.UNSET
    with pytest.raises(Refusal) as refused:
        await scene.cast("b2", receipt=False, contestant="nobody")
    assert refused.value.detail is None and scene.signatures == 0


async def test_refused_ballots_have_receipts_too(scene: Scene) -> None:
    [at_once] = await scene.cast("b1", contestant="nobody")
    *_, by_engine = await scene.cast("b2", "b3", kind="free", count=6)
    assert isinstance(at_once, Refusal) and isinstance(by_engine, Refusal)
    told = proved(at_once)
    assert (told.outcome, told.code, told.id, told.vote_id) == ("refused", "INVALID_CONTESTANT", "b1", "")
    assert (proved(by_engine).code, proved(by_engine).id) == ("RATE_LIMIT", "b3")
    assert scene.ballots.metrics.refused == {"INVALID_CONTESTANT": 1, "RATE_LIMIT": 1}


async def test_words_that_cannot_be_written_down_do_not_break_the_receipt(scene: Scene) -> None:
    [answer] = await scene.cast("b\ud800", contestant="\ud800" * 9_999)
    assert isinstance(answer, Refusal) and answer.code in ("BAD_MESSAGE", "INVALID_CONTESTANT")
    assert len(proved(answer).contestant_id) == 64


async def test_a_stranger_gets_no_receipt(scene: Scene) -> None:
    scene.session = FakeSession(user=None)
    with pytest.raises(Refusal) as refused:
        await scene.cast(str(uuid7()))
    assert (refused.value.code, refused.value.detail, scene.signatures) == ("UNAUTHENTICATED", None, 0)
