"""The composition root: makes the parts, starts and stops them."""

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import structlog

from car_protocol.actions.elsewhere import forward
from car_protocol.connections.connection import Connection
from car_protocol.connections.listener import Listener, ListeningPort
from car_protocol.drain import LEASE_BY, PARTS_BY, Drain
from car_protocol.events import Event
from car_protocol.health import HealthPort
from car_protocol.logins.desk import LoginDesk
from car_protocol.logins.gate import Gate
from car_protocol.logins.greeter import Greeter
from car_protocol.logins.known import KnownVehicles
from car_protocol.logins.notices import LoginNotices
from car_protocol.logins.register import ACQUIRE_WITHIN, ANSWER_WITHIN, Register
from car_protocol.logins.user_sessions import UserSessions
from car_protocol.logins.users import UserDesk
from car_protocol.metrics import ServerCollector
from car_protocol.notifications.error_codes import TABLES, ErrorCodes
from car_protocol.notifications.notifier import Notifier
from car_protocol.notifications.silence import SilenceNotices
from car_protocol.push.channels import open_channels
from car_protocol.push.confirmations import Confirmations
from car_protocol.push.mail import MailChannel
from car_protocol.push.outbox import Outbox, PostgresRows
from car_protocol.push.subscriptions import SubscriptionDesk
from car_protocol.rooms.follower import Follower
from car_protocol.rooms.groups import Groups
from car_protocol.rooms.hub import Hub, Peer, Room
from car_protocol.rooms.lease import Lease
from car_protocol.rooms.presence import PresenceKeeper
from car_protocol.rooms.publisher import Publisher, publish_head
from car_protocol.rooms.replicas import Replicas
from car_protocol.routing import ROUTES, Action
from car_protocol.server import Closable, Server
from car_protocol.settings import Settings
from car_protocol.storage.archive import Archive
from car_protocol.storage.maintenance import Maintenance
from car_protocol.storage.recorder import Recorder
from car_protocol.storage.removals import Removals
from car_protocol.storage.sampler import Sampler
from car_protocol.storage.store import PostgresStore
from car_protocol.storage.traffic import TrafficMeter
from car_protocol.storage.trail import Trail
from car_protocol.tracing import TracedPublisher, traced_routes
from car_protocol.wall_clock import ClockAdjustment, WallClock
from car_protocol.wheel import Wheel
from ovms.accepting import Acceptor
from ovms.auth.delays import LoginDelays
from ovms.auth.passwords import PasswordChecks
from ovms.auth.remembered import Remembered
from ovms.auth.sign_in import SignIn
from ovms.bus.client import Client, open_redis
from ovms.bus.errors import FAILURES
from ovms.bus.readiness import check_writes
from ovms.bus.removals import subscribe as subscribe_to_removals
from ovms.bus.revocations import Revocations
from ovms.bus.subscriptions import Subscriptions
from ovms.db.engine import UNAVAILABLE, Pool, open_pool
from ovms.db.passwords import hash_password, verify_password
from ovms.db.push import DONE_FOR
from ovms.db.sealing import Sealer
from ovms.identity import Role
from ovms.metrics import LoopLag, make_registry
from ovms.shares import NetworkShares
from ovms.stopping import end_tasks
from ovms.subscriptions import MAIL
from ovms.telemetry import open_traces
from ovms.tls import Tls, open_tls

if TYPE_CHECKING:
    from ovms.tracing import Traces

Work = Callable[[], Coroutine[Any, Any, None]]

DISTRIBUTION: Final = "ovms-car-protocol"
CHECK_TIMEOUT: Final = 2.0
CLOSE_WITHIN: Final = 0.5
"""Seconds for the connections to PostgreSQL, and to Redis, to be closed in good order."""
REDIS_TIMEOUT: Final = 5.0


@dataclass(slots=True)
class Running:
    """A replica that serves."""

    server: Server
    listener: Listener
    pool: Pool
    tls: Tls | None

    def reload_certificate(self) -> None:
        """Take the files of the certificate as they are now."""
        if self.tls is not None:
            self.tls.reload()


@asynccontextmanager
async def serving(settings: Settings, *, system_clock: Callable[[], float] = time.time) -> AsyncIterator[Running]:
    """Serve while the block runs; then write all that waits, and let everybody go.

    Args:
        system_clock: the Unix time, which may be corrected at any time.

    Raises:
        TlsError: the certificate or its key cannot be used.
        TracesUnavailable: traces are asked for, and cannot be made.
        OSError: a port cannot be had.
    """
    tls = open_tls(settings.tls_certificate, settings.tls_key)
    traces = open_traces("car-protocol", version(DISTRIBUTION), settings.otlp_endpoint, settings.trace_ratio)
    async with AsyncExitStack() as stack:
        if traces is not None:
            stack.push_async_callback(asyncio.to_thread, traces.close)
        pool = await open_pool(settings.database_url.get_secret_value(), size=settings.database_connections)
        stack.push_async_callback(_close_pool, pool)
        login_pool = await open_pool(
            settings.database_url.get_secret_value(),
            size=settings.login_connections,
            acquire_within=ACQUIRE_WITHIN,
            answer_within=ANSWER_WITHIN,
        )
        stack.push_async_callback(_close_pool, login_pool)
        client = open_redis(settings.redis_url.get_secret_value(), socket_connect_timeout=REDIS_TIMEOUT, socket_timeout=None)
        stack.push_async_callback(_close_redis, client)
        passwords = PasswordChecks(verify_password)
        stack.callback(passwords.close)
        nobody = await asyncio.to_thread(hash_password, secrets.token_urlsafe())
        sign_in = SignIn(login_pool, passwords, Remembered(time.monotonic), nobody)
        clock = WallClock(asyncio.get_running_loop().time, system_clock)
        running, keeper, tasks = _make(settings, clock, pool, login_pool, client, sign_in, tls, traces)
        server = running.server
        lag = LoopLag()
        collector = ServerCollector(server, running.listener, {"rows": pool, "logins": login_pool}, lag)
        health = await HealthPort(make_registry(collector), _checks(login_pool, client, running.listener)).open(
            settings.health_host, settings.health_port
        )
        stack.callback(health.close)
        await stack.enter_async_context(_background([*tasks, lag.run]))
        stack.push_async_callback(_end, running, keeper)
        await running.listener.open()
        yield running


def _make(
    settings: Settings,
    clock: WallClock,
    pool: Pool,
    login_pool: Pool,
    client: Client,
    sign_in: SignIn,
    tls: Tls | None,
    traces: "Traces | None",
) -> tuple[Running, PresenceKeeper, list[Work]]:
    loop = asyncio.get_running_loop()
    room_changed = Event[[Room]]()
    app_message_received = Event[[Room, Peer, bytes, float]]()
    sessions_superseded = Event[[Mapping[int, int]]]()
    recorder_resumed = Event[[]]()
    connections: set[Closable] = set()
    channels = open_channels(settings, time.time)
    mail = channels.get(MAIL)
    outbox = Outbox(
        PostgresRows(pool, per_minute=settings.push_per_minute, done_for=max(DONE_FOR, settings.push_repeat)),
        channels,
        attempts=settings.push_attempts,
        jitter=random.random,
    )
    recorder = Recorder(
        PostgresStore(
            pool,
            repeat_after=settings.push_repeat,
            pushes_wait=outbox.wake,
            followed=sessions_superseded,
        ),
        monotonic=loop.time,
        clock=clock,
        tick=settings.state_tick,
        limit=settings.pending_bytes,
        keeps_state_history=settings.state_history > 0,
        resumed=recorder_resumed,
    )
    lease = Lease()
    publisher, routes = _publishing(settings, client, lease, loop, traces)
    subscriptions = Subscriptions(client)

    hub = Hub(publish_head, room_changed)
    replicas = Replicas(
        publisher,
        subscriptions,
        hub,
        say=app_message_received,
        pending=recorder.pending,
        monotonic=loop.time,
    )
    follower = Follower(
        client,
        subscriptions,
        hub,
        replicas,
        forward=lambda room, message, now: forward(server, room, message, now),
        missed=lambda room: greeter.greet_again(room),  # noqa: PLW0108 (the greeter is made of the follower)
        monotonic=loop.time,
        wall=clock.now,
    )
    keeper = PresenceKeeper(client, hub, lease, new_name=lambda: secrets.token_hex(8), take_name=replicas.take_name)
    room_changed.subscribe(keeper.changed)
    room_changed.subscribe(follower.changed)
    sessions_superseded.subscribe(keeper.raise_sessions)
    sealer = Sealer.from_setting(settings.secret_keys.get_secret_value())
    error_codes = ErrorCodes.load(TABLES, *([settings.error_codes] if settings.error_codes else []))
    make_notifier = partial(Notifier, wall=recorder.wall, days=settings.notification_days, error_codes=error_codes)
    notifier = make_notifier(recorder.put_notification)
    greeter = Greeter(login_pool, recorder, follower)
    register = Register(login_pool, KnownVehicles(settings.known_vehicles), loop.time)
    notices = LoginNotices(notifier.notify)
    desk = LoginDesk(login_pool, register, sealer, keeper, hub, recorder, follower, greeter, notices, LoginDelays())
    user_sessions = UserSessions(login_pool, Revocations(client, subscriptions.party()))
    server = Server(
        settings=settings,
        timeouts=settings.timeouts(),
        version=version(DISTRIBUTION).encode(),
        loop=loop,
        hub=hub,
        replicas=replicas,
        groups=Groups(loop, publisher, subscriptions, replicas),
        recorder=recorder,
        sampler=Sampler(recorder.put_sample, recorder.wall, days=settings.track_days, interval=settings.track_interval),
        publisher=publisher,
        desk=desk,
        users=UserDesk(login_pool, sign_in, desk, user_sessions, LoginDelays()),
        archive=Archive(pool),
        notifier=notifier,
        subscriptions=SubscriptionDesk(pool, sealer),
        outbox=outbox,
        traffic=TrafficMeter(pool, connections, clock.now, settings.traffic_days),
        trail=Trail(pool),
        gate=Gate(settings.logins_per_address),
        shares=NetworkShares(settings.connections),
        wheel=Wheel(loop),
        routes=routes,
        connections=connections,
    )
    recorder_resumed.subscribe(server.recorder_has_room)
    app_message_received.subscribe(server.receive)
    listener = _make_listener(settings, server, tls)
    removals = Removals(pool, hub)
    silence = SilenceNotices(
        pool,
        hub,
        make_notifier,
        pushes_wait=outbox.wake,
        repeat_after=settings.push_repeat,
        monotonic=loop.time,
    )
    subscribe_to_removals(subscriptions, removals.tell)
    on_redis: list[Work] = [publisher.run, subscriptions.run, follower.run, keeper.run]
    on_postgresql: list[Work] = [
        recorder.run,
        register.run,
        desk.run,
        greeter.run,
        outbox.run,
        user_sessions.run,
        server.traffic.run,
        server.trail.run,
        Maintenance(pool, audit_days=settings.audit_days, state_history=settings.state_history).run,
        removals.run,
        silence.run,
    ]
    on_the_machine: list[Work] = [ClockAdjustment(clock).run, *([tls.watch] if tls is not None else [])]
    if isinstance(mail, MailChannel):
        on_postgresql.append(Confirmations(pool, mail).run)
    return Running(server, listener, pool, tls), keeper, [*on_redis, *on_postgresql, *on_the_machine]


def _publishing(
    settings: Settings, client: Client, lease: Lease, loop: asyncio.AbstractEventLoop, traces: "Traces | None"
) -> tuple[Publisher, Mapping[Role, tuple[Action, ...]]]:
    """What publishes, and what messages cause: decided once, so that without traces nothing asks whether there are some."""
    make = Publisher if traces is None else partial(TracedPublisher, traces)
    publisher = make(client, lease, tick=settings.publish_tick, limit=settings.publish_bytes, monotonic=loop.time)
    if traces is None or not isinstance(publisher, TracedPublisher):
        return publisher, ROUTES
    return publisher, traced_routes(ROUTES, publisher, traces)


def _make_listener(settings: Settings, server: Server, tls: Tls | None) -> Listener:
    is_shared = settings.workers > 1
    ports = [ListeningPort(settings.host, settings.v2_port, is_shared=is_shared)]
    if tls is not None:
        ports.append(ListeningPort(settings.host, settings.v2_tls_port, tls.context, is_shared=is_shared))

    log = structlog.get_logger("listener")
    return Listener(ports, Acceptor(lambda _: Connection(server), settings.connections, server.shares, log))


@asynccontextmanager
async def _background(work: list[Work]) -> AsyncIterator[None]:
    """Run parts beside the block. None of them ends by itself: one that does is a bug and ends the service."""
    running = asyncio.current_task()
    assert running is not None
    log = structlog.get_logger("service")

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.error("a part of the service has died", part=task.get_name(), exc_info=task.exception())
            running.cancel()

    tasks = [asyncio.create_task(part(), name=part.__qualname__) for part in work]
    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield
    finally:
        for task in tasks:
            task.remove_done_callback(ended)
        for task in await end_tasks(tasks):
            log.warning("a part of the service does not stop", part=task.get_name())
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                log.warning("a part of the service failed while it stopped", part=task.get_name(), reason=type(error).__name__)


async def _end(running: Running, keeper: PresenceKeeper) -> None:
    """Let everybody go, end the parts that have something to finish, and give the lease back."""
    server, drain = running.server, Drain(running.server, running.listener)
    # Who asks PostgreSQL waits for its answer even when told to stop; one that does not come must not take all the time.
    server.loop.call_at(drain.at(PARTS_BY), running.pool.terminate)
    if not await drain.run():
        running.pool.terminate()
    parts = (server.trail, server.archive, server.users, server.outbox, server.subscriptions)
    await drain.end(PARTS_BY, *(part.close for part in parts))
    await drain.end(LEASE_BY, keeper.end)


def _checks(pool: Pool, client: Client, listener: Listener) -> dict[str, Any]:
    async def postgresql() -> bool:
        with suppress(TimeoutError, asyncpg.PostgresError, *UNAVAILABLE):
            async with asyncio.timeout(CHECK_TIMEOUT):
                return bool(await pool.fetchval("SELECT true"))
        return False

    async def redis_takes_writes() -> bool:
        with suppress(*FAILURES):
            async with asyncio.timeout(CHECK_TIMEOUT):
                await check_writes(client)
                return True
        return False

    async def port() -> bool:
        return listener.is_open

    return {"port": port, "postgresql": postgresql, "redis": redis_takes_writes}


async def _close_pool(pool: Pool) -> None:
    with suppress(TimeoutError, *UNAVAILABLE):
        async with asyncio.timeout(CLOSE_WITHIN):
            await pool.close()
            return
    pool.terminate()


async def _close_redis(client: Client) -> None:
    with suppress(*FAILURES):
        async with asyncio.timeout(CLOSE_WITHIN):
            await client.aclose()
