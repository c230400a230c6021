"""Ends the bundles that have expired in wallets that nobody touches, so that the journal says so. A director's job."""

from __future__ import annotations

from typing import Final

from broadcast_sync.clock import Clock
from voting.ledger.entries import moment
from voting.ledger.store import Pool, statement
from voting.wallet.journal import PACKAGE
from voting.wallet.wallet import Wallet

INTERVAL_S: Final = 300.0
"""Between two sweeps; an outage costs one."""
AFTER_MS: Final = 120_000
"""How long after its end a bundle is looked for: no ballot that arrived before it is under way any more."""
BACK_MS: Final = 30 * 86_400_000
"""How far back a sweep looks; no outage of the director lasts longer."""
PAGE: Final = 500


class WalletSweep:
    """Asks the journal who still has votes in bundles that have ended, and the wallet to end them. A voter's own next
    ballot or credit does the same, so whoever comes first does it, once."""

    def __init__(self, wallet: Wallet, pool: Pool, organisation: str, clock: Clock) -> None:
        self._wallet = wallet
        self._pool = pool
        self._organisation = organisation
        self._clock = clock

    async def sweep(self) -> int:
        """Goes through all of them once; returns their number. Engine errors pass through."""
        now_ms, last, swept = self._clock.now_ms(), "", 0
        span = moment(now_ms - BACK_MS), moment(now_ms - AFTER_MS)
        while True:
            rows = await self._pool.fetch(statement("expired", PACKAGE), self._organisation, *span, last, PAGE)
            for row in rows:
                last = row["voter"]
                await self._wallet.expire(last)
            swept += len(rows)
            if len(rows) < PAGE:
                return swept
