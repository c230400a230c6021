"""ActionCable's own client, unmodified, on the cable: subscribing, live votes, rejections, the death of the server."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Starter
from tests.support.actioncable import actioncable
from tests.support.process import ServerProcess
from tests.support.viewer import Viewer


def cable(server: ServerProcess, query: str = "") -> str:
    return f"ws://127.0.0.1:{server.port}/cable{query}"


@pytest.mark.timeout(60)
async def test_an_app_follows_an_episode_through_the_death_of_the_server(start_server: Starter) -> None:
    server = start_server()
    server.cue("SHOW_START", {"showId": "demo", "episode": 1})
    server.cue("VOTING_OPEN", {"duration": 120})
    token, second = server.tokens(2)
    voter = await Viewer.open(server.url, token=token)
    async with actioncable(cable(server, f"?token={token}")) as app:
        app.subscribe("episode", episode_id=1)
        assert await app.next("episode", "connected") == {"reconnected": False}
        first = await app.message("episode", "initial_results")
        assert (first["episode_id"], first["voting_active"], len(first["contestants"])) == (1, True, 12)
        app.subscribe("contestant", contestant_id="c07")
        await app.next("contestant", "connected")
        for name, params in (("other", {"episode_id": 9}), ("nobody", {"contestant_id": "c99"})):
            app.subscribe(name, **params)
            await app.next(name, "rejected")

        await voter.vote(1, "c07")
        update = await app.message("contestant", "detailed_update", total_votes=1, contestant_id="c07")
        results = await app.message("episode", "results_update", total_votes=1)
        assert (results["contestants"][0]["id"], results["contestants"][0]["percentage"]) == ("c07", 100.0)
        assert (results["unique_voters"], results["vote_breakdown"]) == (1, {"free_votes": 1})
        while not update["recent_votes"]:  # the ledger may be a moment behind
            update = await app.message("contestant", "detailed_update")
        last = {"user_name": "***", "vote_count": 1, "vote_type": "free", "time_ago": "less than a minute"}
        assert update["recent_votes"] == [last]
        app.perform("episode", "request_update", episode_id=1)
        await app.message("episode", "results_update", total_votes=1)

        server.kill()
        assert await app.next("episode", "disconnected") == {"willAttemptReconnect": True}
        server.start()
        assert await app.next("episode", "connected") == {"reconnected": True}
        await app.message("episode", "initial_results", total_votes=1)
        again = await Viewer.open(server.url, token=second)
        await again.vote(1, "c07")
        await app.message("contestant", "vote_update", votes=2)
        app.unsubscribe("contestant")
        await again.vote(2, "c07")
        await app.message("episode", "results_update", total_votes=3)
        assert [heard["event"] for heard in app.heard if heard["name"] in {"other", "nobody"}] == ["rejected"] * 2
        await again.close()


async def test_an_app_with_a_refused_token_does_not_come_back(start_server: Starter) -> None:
    server = start_server()
    async with actioncable(cable(server, "?token=rubbish")) as app:
        app.subscribe("episode", episode_id=1)
        assert await app.next("episode", "disconnected") == {"willAttemptReconnect": False}
    assert "rubbish" not in server.tail()
