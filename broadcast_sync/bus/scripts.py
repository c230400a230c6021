"""Lua scripts: files beside their users, loaded once, called by hash, loaded again after an engine restart."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

Argument = str | bytes | int | float


class Script:
    """One script file. `await script(client, keys, args)` runs it; engine errors pass through as they are."""

    def __init__(self, package: str, name: str) -> None:
        self.name = name
        self.source = files(package).joinpath("scripts", f"{name}.lua").read_text("utf-8")
        self._sha: str | None = None

    async def __call__(self, client: Redis, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        if self._sha is None:
            self._sha = str(await client.script_load(self.source))
        try:
            return await client.evalsha(self._sha, len(keys), *keys, *args)
        except NoScriptError:
            self._sha = str(await client.script_load(self.source))
            return await client.evalsha(self._sha, len(keys), *keys, *args)
