"""The composition root and the command line: the only file that knows every wing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import structlog
import typer
import uvicorn
import uvloop
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from broadcast_sync import settings as configuration
from broadcast_sync.api import Answer, Endpoint, application, endpoint
from broadcast_sync.bearer import Bearer
from broadcast_sync.bus.connect import VALKEY_ERRORS, connect, heed_cancellation
from broadcast_sync.bus.keys import StageKeys
from broadcast_sync.bus.leases import Lease
from broadcast_sync.bus.timekeeper import Timekeeper
from broadcast_sync.clock import EngineClock
from broadcast_sync.control.osc import OscServer, check_osc
from broadcast_sync.control.splices import check_rows
from broadcast_sync.control.splicing import Splicing
from broadcast_sync.control.tally import TallyRoute
from broadcast_sync.engine.engines import Engines, open_engines
from broadcast_sync.errors import StartError
from broadcast_sync.hub import events
from broadcast_sync.hub.hub import Hub
from broadcast_sync.hub.metrics import counting as hub_counting
from broadcast_sync.hub.router import Router
from broadcast_sync.hub.session import CONTROL, VOTING, Session
from broadcast_sync.ids import uuid7
from broadcast_sync.operations import commands as operations
from broadcast_sync.operations.departure import Departure
from broadcast_sync.operations.exposition import Exposition
from broadcast_sync.operations.guests import Guests, check_guests
from broadcast_sync.operations.health import EngineVersions, Health, Status
from broadcast_sync.operations.keys import Keys
from broadcast_sync.operations.openapi import OpenApi
from broadcast_sync.operations.schedule import Job, Schedule
from broadcast_sync.operations.tally import (
    DirectorReport,
    NodeReport,
    StageView,
    TallyReporter,
    report_as_director,
)
from broadcast_sync.operations.tasks import TaskCollector
from broadcast_sync.settings import Settings
from broadcast_sync.show import commands as show
from broadcast_sync.show import routes as control_routes
from broadcast_sync.show.catalogue import Catalogue
from broadcast_sync.show.countdown import time_matters
from broadcast_sync.show.cuelog import CueLog
from broadcast_sync.show.director import Director
from broadcast_sync.show.embargo import audience, embargoed
from broadcast_sync.show.execution import Execution
from broadcast_sync.show.fresh import Fresh
from broadcast_sync.show.intake import CueIntake
from broadcast_sync.show.machine import asking_events, legal_events
from broadcast_sync.show.mirror import StageMirror
from broadcast_sync.show.operators import Operators
from broadcast_sync.show.reader import CueReader
from broadcast_sync.show.rundown_commands import rundown_app
from broadcast_sync.show.rundown_desk import RundownDesk
from broadcast_sync.show.rundown_keeper import RundownKeeper
from broadcast_sync.show.rundown_loader import RundownLoader
from broadcast_sync.show.store import StageStore
from broadcast_sync.show.taker import Taker
from broadcast_sync.show.views import armed_info, due_info, pending_info, reference_info, rundown_info, show_info
from broadcast_sync.show.voider import Voider
from broadcast_sync.signatures import Signer
from broadcast_sync.tokens import Tokens, control_secret, signing_key
from broadcast_sync.wire.client import CueMessage, Vote
from broadcast_sync.wire.prepared import Prepared
from broadcast_sync.wire.server import ClockInfo, CueLogRow, Tally
from broadcast_sync.wire.visibility import beside
from clients.load import commands as load
from clients.web import routes as pages
from results import verify as verification
from results.archive import Archive
from results.ballots import RecentBallots
from results.certification import Certifier
from results.contestant_routes import ContestantRoutes
from results.cursor import ListCursors
from results.events import Events
from results.published import Published
from results.publisher import BoardPublisher
from results.releases import Releases
from results.rounds import Rounds
from results.routes import ResultRoutes
from results.snapshots import Snapshots
from results.standing import contestants_of
from results.timeline_routes import TimelineRoutes
from voting.api.admission import Admission
from voting.api.clips import ClipApi
from voting.api.cursor import Cursors
from voting.api.history import History
from voting.api.mobile import MobileApi
from voting.api.tallies import Tallies
from voting.ballot import commands as rules
from voting.ballot import metrics as ballot_metrics
from voting.ballot.gates import Gates
from voting.ballot.intake import BallotIntake
from voting.ledger import commands as ledger
from voting.ledger import metrics as ledger_metrics
from voting.ledger import void_command
from voting.ledger.migrate import migrate
from voting.ledger.pressure import StreamPressure
from voting.ledger.service import LedgerService
from voting.ledger.store import Pool, open_pool
from voting.ledger.void_desk import VoidDesk
from voting.ledger.watch import LedgerWatch
from voting.rebuild import commands as rebuilding
from voting.receipts.issuer import ReceiptIssuer
from voting.wallet import commands as wallets
from voting.wallet.sweep import INTERVAL_S, WalletSweep
from voting.wallet.wallet import Wallet

VERSION: Final = version("broadcast-sync")
CUES_SHOWN: Final = 12
DIRECTOR_LEASE_MS: Final = 1_500
"""With what a waiting node looks at it, a dead director has a successor within 1.75 s."""

log = structlog.get_logger()


class Node:
    """One process's share of the job, put together: every wing, and the loops that keep it going."""

    def __init__(self, settings: Settings, engines: Engines, valkey: Redis, pool: Pool, *, rehearsal: bool) -> None:
        organisation = settings.show.organisation
        self.id = f"{socket.gethostname()[:32]}-{uuid7().hex[-8:]}"
        self.settings = settings
        self.engines = engines
        self.rehearsal = rehearsal
        self._valkey = valkey
        self._started_ms = 0
        self._cues: list[CueLogRow] = []
        self.clock = EngineClock()
        keys = StageKeys(organisation)
        key = signing_key(settings)
        tokens, signer = Tokens(settings, key), Signer(key)

        self._store = StageStore(valkey, keys, organisation)
        self.mirror = StageMirror(
            valkey, keys, self._store, self.clock, organisation, self._pass_on,
            followed=lambda channel: self.hub.follows(channel), contestants=contestants_of,
        )
        self.gates = Gates(settings, valkey)
        self.pressure = StreamPressure(
            valkey, organisation, settings.voting.shards, settings.ledger.stream_budget_mb
        )
        self.ballots = BallotIntake(
            settings, self.clock, valkey, self.gates, lambda: self.mirror.stage, lambda: self.pressure.full,
            ReceiptIssuer(signer, organisation),
        )
        self.catalogue = Catalogue(pool, organisation)
        voids = VoidDesk(valkey, pool, organisation)
        reader = CueReader(settings, self.catalogue, self.gates, voids)
        execution = Execution(self._store, self.gates)
        self._intake = CueIntake(settings, self._store, reader, execution, self.clock)
        self.cue_log = CueLog(valkey, keys, pool, organisation)
        archive = Archive(pool, organisation)
        releases = Releases(pool, organisation, self.mirror)
        rounds = Rounds(pool, organisation, settings.show.ties, lambda: self.mirror.stage)

        router = Router()
        router.register(Vote, self.ballots.handle, paths=frozenset({VOTING}))
        router.register(CueMessage, self._cue, roles=frozenset({"control"}), paths=frozenset({CONTROL}))
        self.hub = Hub(settings, self.clock, router, tokens, self.id)
        self.hub.snapshot = self.mirror.snapshot
        self.hub.position = self.mirror.position
        self.hub.replay = self.mirror.replay
        self.hub.knows = self.mirror.knows
        self.hub.remaining = self.ballots.remaining
        self.hub.answered = self.ballots.drain

        self._lease = Lease(valkey, keys.director, self.id, DIRECTOR_LEASE_MS)
        self._timekeeper = Timekeeper(
            valkey, keys, self.clock, self._lease, steady=self._time_matters, stepped=self.mirror.clock_stepped
        )
        snapshots = Snapshots(pool, organisation, self.clock, settings.results.locale)
        ballots = RecentBallots(pool, organisation, lambda: self.mirror.stage)
        self.publisher = BoardPublisher(
            settings=settings.results, client=valkey, keys=keys, tallies=self.gates, stage=self.mirror,
            clock=self.clock, lease=self._lease, ballots=ballots.of,
        )
        self.ledger = LedgerService(settings, engines.valkey_url, pool, self.id)
        self.wallet = Wallet(valkey, pool, organisation, settings.voting.shards, self.clock)
        self._sweep = WalletSweep(self.wallet, pool, organisation, self.clock)
        self._watch = LedgerWatch(
            valkey, pool, organisation, settings.voting.shards, settings.ledger.recount_s
        )
        certifier = Certifier(
            settings=settings.ledger, organisation=organisation, gates=self.gates, pool=pool, archive=archive,
            clock=self.clock, software=f"broadcast-sync {VERSION}", signer=signer,
        )
        fresh = Fresh(self.mirror)
        taker = Taker(settings, self._lease, fresh, self._store, execution, reader, self.clock)
        voider = Voider(self._lease, fresh, execution, voids, self.clock)
        loader = RundownLoader(valkey, keys, self._store, reader, execution, self.clock)
        self._director = Director(
            settings, self._lease, fresh, self._store, self.clock, self.gates, certifier, rounds, execution,
            also=(
                taker.run,
                voider.run,
                RundownKeeper(self._lease, fresh, loader, self.clock).run,
                self.cue_log.run,
                lambda: self._watch.run(self._window_id),
                Schedule(Job("wallet-sweep", INTERVAL_S, self._sweep.sweep)).run,
                lambda: report_as_director(valkey, keys, self.clock, self._report_director),
                releases.run,
                ballots.run,
                lambda: snapshots.run(lambda: self.publisher.latest),
            ),
        )
        self.tally = TallyReporter(
            client=valkey, keys=keys, clock=self.clock, node=self.id, report=self._report_node,
            stage=self._view_stage, clock_info=self._clock_info, cues=lambda: self._cues, publish=self._publish_tally,
        )
        self._osc = OscServer(settings.osc, self._intake.submit, self.clock) if settings.osc.enabled else None
        figures = Exposition(
            REGISTRY, {**hub_counting(Vote.TYPE), **ballot_metrics.COUNTING, **ledger_metrics.COUNTING},
            lambda: self.mirror.withholding,
        )
        self._collectors = [self.hub.metrics, self.ballots.metrics, TaskCollector(), *filter(None, [self._osc])]
        operators = Operators(tokens, control_secret(settings), self.clock, settings)
        # the HTTP routes of the process: a wing adds its own here, and nowhere else
        self._table = OpenApi([
            *control_routes.endpoints(
                self._intake, operators, self.clock, lambda: self.mirror.stage, self.cue_log.recent,
                lambda: self.tally.last,
            ),
            *Splicing(
                settings.scte35.map, self._intake, operators, self.clock, lambda: self.mirror.stage
            ).endpoints(),
            *TallyRoute(operators, self.clock, lambda: self.tally.last, lambda: self.mirror.stage).endpoints(),
            *RundownDesk(loader, operators, lambda: self.mirror.stage).endpoints(),
            *ResultRoutes(archive, lambda: self.mirror.stage).endpoints(),
            *TimelineRoutes(snapshots, archive, lambda: self.mirror.stage).endpoints(),
            *self._contestants(signer, valkey, pool, archive),
            *Keys(signer).endpoints(),
            *rounds.endpoints(),
            *self._voting(tokens, signer, pool, archive),
            *Guests(settings, tokens, self.clock).endpoints(),
            *Health(self.not_ready, self.status, figures).endpoints(),
            *events.endpoints(),
            *page_endpoints(pages_of(settings)),
        ], VERSION).endpoints()

    def _contestants(self, signer: Signer, valkey: Redis, pool: Pool, archive: Archive) -> list[Endpoint]:
        """What anybody may look up of an event."""
        organisation = self.settings.show.organisation
        events = Events(
            pool=pool, client=valkey, organisation=organisation, catalogue=self.catalogue, archive=archive,
            stage=lambda: self.mirror.stage, clock=self.clock, locale=self.settings.results.locale,
        )
        return ContestantRoutes(events, ListCursors(signer, organisation)).endpoints()

    def _voting(self, tokens: Tokens, signer: Signer, pool: Pool, archive: Archive) -> list[Endpoint]:
        """Voting for apps that hold no socket."""
        settings, organisation = self.settings, self.settings.show.organisation
        admission = Admission(Bearer(tokens, organisation, "user"), settings.api)
        tallies = Tallies(self.gates, self.clock)
        # an answer comes when the engine has spoken or its time is over, so this is the time of two calls and the wait
        answer_s = 2 * settings.voting.engine_timeout_s + 1.0
        mobile = MobileApi(
            admission=admission, ballots=self.ballots, tallies=tallies,
            history=History(pool, organisation, settings.api.history_reads),
            published=Published(pool, organisation, archive, lambda: self.mirror.stage, self.clock),
            wallet=self.wallet,
            cursors=Cursors(signer, organisation), stage=lambda: self.mirror.stage, clock=self.clock,
            secret=sha256(signer.sign(b"where votes come from")).digest(), answer_s=answer_s,
        )
        clips = ClipApi(
            admission=admission, ballots=self.ballots, tallies=tallies, stage=lambda: self.mirror.stage,
            clock=self.clock, answer_s=answer_s,
        )
        return [*mobile.endpoints(), *clips.endpoints()]

    def app(self) -> Starlette:
        """The routes of the table, and the files of pages and demo."""
        photos = StaticFiles(directory=str(files("broadcast_sync.show") / "demo" / "photos"))
        assets: list[BaseRoute] = [
            route for route in pages_of(self.settings) if route.path not in pages.PAGES
        ]
        return application(
            self._table, [*assets, Mount("/photos/demo", photos)], origins=self.settings.hub.allowed_origins
        )

    # --- life -------------------------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """All loops for as long as the block runs; the task given ends only if one of them fails."""
        await self._timekeeper.begin()
        self._started_ms = self.clock.now_ms()
        await self._store.begin()
        self.hub.start()
        for collector in self._collectors:
            REGISTRY.register(collector)
        loops = asyncio.create_task(self._loops(), name="node")
        try:
            if self._osc is not None:
                await self._osc.start()
            ready = asyncio.create_task(self.mirror.wait_ready())
            await asyncio.wait({loops, ready}, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
            yield loops
        finally:
            if self._osc is not None:
                await self._osc.stop()
            await self.hub.stop("the server is stopping")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.settings.server.stop_s):
                    await self.ballots.drain()
            loops.cancel()
            await asyncio.wait({loops})
            for collector in self._collectors:
                REGISTRY.unregister(collector)
            with contextlib.suppress(*VALKEY_ERRORS):  # an engine that is away forgets us by itself
                await self.tally.leave()
                await self._lease.release()

    async def _loops(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for loop in (
                self.mirror.run, self._lease.run, self._director.run, self.publisher.run, self.ledger.run,
                self.pressure.run, self.tally.run, self.ballots.run, self._read_cues, self._timekeeper.run,
            ):
                tasks.create_task(loop(), name=loop.__qualname__)

    async def _read_cues(self) -> None:
        """The last cues for the consoles of this node."""
        while True:
            heed_cancellation()
            try:
                self._cues = await self.cue_log.recent(CUES_SHOWN)
            except VALKEY_ERRORS:
                pass  # the last ones stay on show
            await asyncio.sleep(1)

    # --- what the wings ask of each other ---------------------------------------------------------------------

    def _pass_on(self, prepared: Prepared) -> None:
        self.hub.publish(prepared)

    async def _cue(self, session: Session, cue: CueMessage, received_ms: int) -> None:
        assert session.identity is not None  # the route demands a role
        identity = session.identity
        session.reply(
            await self._intake.submit(cue, by=identity.user_id, received_ms=received_ms, roles=identity.roles)
        )

    def _time_matters(self) -> bool:
        """Cut off from the show, nobody knows."""
        return self.mirror.degraded or time_matters(self.mirror.stage, self.clock.now_ms())

    def _window_id(self) -> str | None:
        window = self.mirror.stage.window
        return window.window_id if window else None

    def _report_node(self) -> NodeReport:
        return NodeReport(
            self.hub.socket_count, self.hub.sent_share(), self.clock.now_ms(), self.hub.acked_share(),
            self.mirror.degraded, self.clock.error_ms,
        )

    def _clock_info(self) -> ClockInfo:
        return ClockInfo(
            round(self.clock.error_ms, 1), self.clock.healthy, self.clock.age_ms, self.clock.held_ms
        )

    def _report_director(self) -> DirectorReport:
        stage, now_ms = self.mirror.stage, self.clock.now_ms()
        if audience(stage) == "hidden":
            return DirectorReport(None, None, None, self._watch.comparison, now_ms, embargoed=True, node=self.id)
        counted = self.publisher.counted(self._window_id())
        total = stage.results.total_votes if stage.results else counted.total_votes
        return DirectorReport(
            counted.votes_per_second, total, self._watch.lag.votes, self._watch.comparison, now_ms, embargoed(stage),
            self.id,
        )

    def _view_stage(self) -> StageView:
        stage, now_ms = self.mirror.stage, self.clock.now_ms()
        return StageView(
            stage.revision, stage.voting, list(legal_events(stage)), self.mirror.degraded, self.pressure.level,
            armed=armed_info(stage, now_ms), pending=pending_info(stage, now_ms), rundown=rundown_info(stage),
            reference=reference_info(stage), rehearsal=bool(stage.show and stage.show.rehearsal),
            asks=list(asking_events(stage, self.settings.control.extend_limit_s)), due=due_info(stage),
        )

    def _publish_tally(self, tally: Tally) -> None:
        # what it says of votes must not go to a console whose token has expired
        channel = beside("control") if self.tally.director.embargoed else "control"
        self.hub.publish(Prepared.of(tally, self.clock.now_ms(), "control"), channel)

    def not_ready(self) -> list[str]:
        """Why this node should get no traffic; empty when it should."""
        reasons = []
        if not self.mirror.canary.alive:
            reasons.append("the canary did not come back through Valkey")
        if self.mirror.degraded:
            reasons.append("cut off from the show")
        if not self.hub.admission.open:
            reasons.append("draining")
        return reasons + self.ledger.stopped

    def status(self) -> Status:
        stage, on_air = self.mirror.stage, self.mirror.stage.show
        return Status(
            version=VERSION,
            node=self.id,
            uptime_s=(self.clock.now_ms() - self._started_ms) // 1000,
            rehearsal=self.rehearsal,
            guests=self.settings.auth.guests,
            show=show_info(on_air) if on_air else None,
            voting=stage.voting,
            sockets=self.hub.socket_count,
            degraded=self.mirror.degraded,
            engines=EngineVersions(self.engines.valkey_version, self.engines.postgres_version),
            total_votes=self.tally.director.public_total,
            streams=self.pressure.level,
        )


def pages_of(settings: Settings) -> list[Route]:
    """The pages and their files, with what the settings tell them."""
    web = settings.web
    delays_ms = {
        "ios": web.stream_delay_ios_ms, "android": web.stream_delay_android_ms, "web": web.stream_delay_web_ms,
    }  # fmt: skip
    return pages.routes(delays_ms, web.playlist_origins)


def page_endpoints(routes: list[Route]) -> list[Endpoint]:
    """The pages, which know nothing of the table, as entries of it."""
    answers = {
        200: Answer(str, "The page.", media="text/html"), 304: Answer(None, "It is the one that you have."),
    }  # fmt: skip
    return [
        endpoint("GET", route.path, f"The page {pages.PAGES[route.path]}", route.endpoint, tag="pages", answers=answers)
        for route in routes
        if route.path in pages.PAGES
    ]


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: who stops what in which order is decided here."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(settings: Settings) -> socket.socket:
    """The listening socket, bound before anything else is started. Raises StartError."""
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        bound.listen(settings.server.backlog)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise StartError(
                f"port {port} on {host} is taken; stop what listens there, or set server.port "
                "(BROADCAST_SYNC__SERVER__PORT)"
            ) from None
        raise StartError(f"cannot listen on {host} port {port} ({error}); set server.host and server.port") from None
    except (OverflowError, UnicodeError):
        bound.close()
        raise StartError(f"{host!r} is no address to listen on; set server.host") from None
    return bound


def raise_file_limit() -> None:
    """Every socket is an open file: takes as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def calm_garbage_collector() -> None:
    """What was made at the start stays: no collection looks at it again, and the young ones come less often. Votes and
    boards make no reference cycles; with the defaults, looking for them showed in the 99th percentile of the acks."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def set_up_logs(settings: Settings) -> None:
    """structlog to standard error, the standard library's records through the same door."""
    level = getattr(logging, settings.log.level.upper())
    console = settings.log.format == "console" or (settings.log.format == "auto" and sys.stderr.isatty())
    renderer: Any = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer,
        ])
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


async def serve_show(settings: Settings, *, rehearsal: bool) -> None:
    """Runs a node until SIGINT (at once) or SIGTERM (see Departure; in a rehearsal at once). Raises StartError."""
    check_guests(settings)
    check_osc(settings.osc)
    check_rows(settings.scte35.map)
    departure = Departure(_tell, force=settings.server.force_drain, gentle=not rehearsal)
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, departure.interrupt)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, departure.terminate)
    with listen(settings) as bound:
        async with open_engines(settings, serve=True) as engines:
            await migrate(engines.postgres_url)
            shards = settings.voting.shards
            valkey = connect(
                engines.valkey_url, timeout_s=settings.voting.engine_timeout_s, connections=24 + 2 * shards
            )
            pool = await open_pool(engines.postgres_url, size=settings.engine.postgres_pool)
            try:
                node = Node(settings, engines, valkey, pool, rehearsal=rehearsal)
                if settings.show.load_demo:
                    await node.catalogue.load_demo()
                await _serve(node, bound, departure)
            finally:
                await valkey.aclose()
                pool.terminate()


async def _serve(node: Node, bound: socket.socket, departure: Departure) -> None:
    config = uvicorn.Config(
        node.app(), ws=node.hub.protocol_factory, http=node.hub.door, lifespan="off", log_config=None,  # type: ignore[arg-type]  # uvicorn calls `ws` and asks for nothing else of it
        access_log=False, server_header=False, proxy_headers=False, timeout_graceful_shutdown=1, timeout_keep_alive=30,
    )
    server = _Server(config)
    async with node.running() as loops, contextlib.AsyncExitStack() as cleanup:
        http = asyncio.create_task(server.serve([bound]), name="http")
        leaving = asyncio.create_task(departure.decided(node.mirror))
        while not (server.started or http.done()):  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        calm_garbage_collector()
        greet(node, bound.getsockname()[1])
        if node.rehearsal:
            await cleanup.enter_async_context(_rehearsal(node.settings, bound.getsockname()[1]))
        await asyncio.wait({loops, http, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if leaving.done() and leaving.result():
            await _drain(node, departure, loops, http)
        leaving.cancel()
        server.should_exit = True
        await cleanup.aclose()
        await node.hub.stop("the server is stopping")
        await http
        if loops.done():
            loops.result()


async def _drain(node: Node, departure: Departure, *others: asyncio.Task[None]) -> None:
    """Sends the sockets away in their time; cut short by a further signal, or when one of `others` ends."""
    seconds = node.settings.server.drain_s
    log.info("drain_began", sockets=node.hub.socket_count, seconds=seconds)
    _tell(f"Draining: {node.hub.socket_count} sockets leave within {seconds:g} s. SIGTERM again stops at once.")
    draining = asyncio.create_task(node.hub.drain(seconds, "the server is draining"))
    cut_short = asyncio.create_task(departure.at_once())
    await asyncio.wait({draining, cut_short, *others}, return_when=asyncio.FIRST_COMPLETED)
    for task in (draining, cut_short):
        task.cancel()
    failed, _ = await asyncio.gather(draining, cut_short, return_exceptions=True)
    if isinstance(failed, Exception):
        log.error("drain_failed", error=repr(failed))  # the stop that follows sends away whoever is left
    log.info("drain_ended", sockets=node.hub.socket_count)


def _tell(words: str) -> None:
    """Something for the person at the terminal."""
    typer.echo(f"  {words}")


@contextlib.asynccontextmanager
async def _rehearsal(settings: Settings, port: int) -> AsyncIterator[None]:
    """The rehearsal show as a child process, on the same doors as everybody else."""
    secret = settings.control.secret_file or str(settings.data_path / "keys" / "control.secret")
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "clients.load.rehearsal", "--url", f"http://127.0.0.1:{port}", "--secret-file", secret,
        start_new_session=True, cwd=Path(__file__).parent,
    )
    try:
        yield
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                async with asyncio.timeout(1.5):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()


def greet(node: Node, port: int) -> None:
    """What a person at the terminal wants to know."""
    settings = node.settings
    host = settings.server.host if settings.loopback else "127.0.0.1"
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    engines = f"Valkey {node.engines.valkey_version}, PostgreSQL {node.engines.postgres_version}"
    typer.echo(
        f"\n  broadcast-sync {VERSION} is on air at {url}  ({engines})\n"
        f"    phone          {url}/phone\n"
        f"    studio screen  {url}/screen\n"
        f"    control room   {url}/control\n"
        f"  Ctrl-C stops it all.\n"
    )


app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="A real-time server for live TV voting: one cue to every screen, every vote counted once.",
)


@app.command()
def serve(
    rehearsal: Annotated[bool, typer.Option("--rehearsal", help="Run the rehearsal show against this server.")] = False,
    guests: Annotated[str | None, typer.Option(help="none, users or all: who gets a token by asking.")] = None,
    config: operations.Config = None,
) -> None:
    """Start the server; without URLs in the settings, its engines too."""
    settings = configuration.load(config)
    if guests is not None or (rehearsal and settings.auth.guests == "none"):
        changed = msgspec.to_builtins(settings.auth) | {"guests": guests or "users"}
        try:
            settings = msgspec.structs.replace(settings, auth=msgspec.convert(changed, configuration.Auth))
        except msgspec.ValidationError:
            raise StartError(f"--guests: expected none, users or all, not {guests!r}", exit_code=2) from None
    if rehearsal and settings.log == configuration.Log():
        # the rehearsal tells its own story on the terminal; asked for explicitly, the log speaks as well
        settings = msgspec.structs.replace(settings, log=configuration.Log(level="warning"))
    set_up_logs(settings)
    raise_file_limit()
    uvloop.run(serve_show(settings, rehearsal=rehearsal))


app.command()(operations.config)
app.command()(operations.token)
app.add_typer(show.show_app(migrate), name="show")
app.add_typer(rules.rules_app, name="rules")
app.add_typer(wallets.wallet_app, name="wallet")
app.add_typer(rundown_app(), name="rundown")
app.command()(show.cue)
app.command()(ledger.recount)
app.command()(ledger.migrate)
app.command()(void_command.void)
app.command()(rebuilding.rebuild)
app.command()(verification.verify)
app.command()(load.load)


def main() -> None:
    """The command line. Errors that have a way out are one line; exit codes: 1 failed, 2 wrong use."""
    set_up_logs(Settings(log=configuration.Log(level="warning")))  # a server sets up its own
    try:
        app()
    except StartError as error:
        typer.echo(f"broadcast-sync: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
