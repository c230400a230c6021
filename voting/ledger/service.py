"""A node's part in the ledger: for each shard a lease and a writer, with the connections they need."""

from __future__ import annotations

import asyncio

from broadcast_sync.bus.connect import connect
from broadcast_sync.bus.keys import ShardKeys
from broadcast_sync.bus.leases import Lease
from broadcast_sync.settings import Settings
from voting.ledger.store import Pool
from voting.ledger.writer import LedgerWriter


class LedgerService:
    """Writes every shard whose lease this node gets. `node` must be unique to the process; the pool is the
    caller's. Owns its Valkey client, as writers wait in theirs."""

    def __init__(self, settings: Settings, valkey_url: str, pool: Pool, node: str) -> None:
        organisation = settings.show.organisation
        shards = settings.voting.shards
        self._client = connect(valkey_url, connections=2 * shards + 2)
        self._leases = [Lease(self._client, ShardKeys(organisation, shard).lease, node) for shard in range(shards)]
        self.writers = [
            LedgerWriter(organisation, shard, self._client, pool, lease, settings.ledger)
            for shard, lease in enumerate(self._leases)
        ]

    @property
    def stopped(self) -> list[str]:
        """What stands still here and why, for health pages; empty when all is well."""
        return [f"shard {writer.shard}: {writer.stopped}" for writer in self.writers if writer.stopped]

    async def run(self) -> None:
        """Runs until cancelled; then gives its leases up, so that another node carries on at once."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for lease, writer in zip(self._leases, self.writers, strict=True):
                    tasks.create_task(self._shard(lease, writer))
        finally:
            await self._client.aclose()

    async def _shard(self, lease: Lease, writer: LedgerWriter) -> None:
        """A shard that stands still gives its lease up: a newer program on another node may know better."""
        keeping = asyncio.create_task(lease.run())
        try:
            await writer.run()
        finally:
            keeping.cancel()
            await asyncio.wait([keeping])
            await lease.release()
