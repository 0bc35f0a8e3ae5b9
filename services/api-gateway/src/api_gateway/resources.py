"""The parts of the service, made once when it starts and closed when it ends."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from api_gateway import rendered
from api_gateway.auth.authenticator import Authenticator
from api_gateway.auth.callers import Callers
from api_gateway.auth.door import FREE, Door
from api_gateway.commands.changes import Changes
from api_gateway.commands.dispatcher import Dispatcher
from api_gateway.commands.sender import Sender
from api_gateway.commands.service import CommandService
from api_gateway.commands.wakers import Wakers
from api_gateway.connections import Connections
from api_gateway.downloads import Downloads
from api_gateway.edge.addresses import Proxies, read_networks
from api_gateway.edge.cors import Origins
from api_gateway.edge.limits import Buckets, Limits
from api_gateway.live.attendance import Attendances
from api_gateway.live.feed import Feed
from api_gateway.live.hub import Hub
from api_gateway.live.inbox import Inbox
from api_gateway.live.streams import Streams
from api_gateway.settings import Settings
from api_gateway.tracing import Hearing, TracedFeed, TracedInbox
from ovms.auth.delays import LoginDelays
from ovms.auth.passwords import PasswordChecks
from ovms.auth.remembered import Remembered
from ovms.auth.sign_in import SignIn
from ovms.bus.cars import Cars, TooManyQuestions
from ovms.bus.client import Client, open_redis
from ovms.bus.errors import FAILURES
from ovms.bus.errors import UNAVAILABLE as REDIS_UNAVAILABLE
from ovms.bus.presence import Presence
from ovms.bus.removals import Removals
from ovms.bus.removals import subscribe as subscribe_to_removals
from ovms.bus.revocations import Revocations
from ovms.bus.sessions import Sessions
from ovms.bus.subscriptions import Subscriptions
from ovms.db.engine import UNAVAILABLE as DATABASE_UNAVAILABLE
from ovms.db.engine import Pool, open_pool
from ovms.db.passwords import hash_password, verify_password
from ovms.db.sealing import Sealer
from ovms.db.state import OwnedStates
from ovms.metrics import LoopLag
from ovms.stopping import end_tasks

if TYPE_CHECKING:
    from ovms.tracing import Traces

DATABASE_CONNECTIONS: Final = 8
ACQUIRE_WITHIN: Final = 2.0
ANSWER_WITHIN: Final = 4.0
"""Past these the caller is told to come again: a PostgreSQL that hangs does not say so."""
SIGN_UPS: Final = 10
"""Accounts made from one network an hour."""
HOUR: Final = 3600.0
REDIS_CONNECT_TIMEOUT: Final = 2.0
REDIS_TIMEOUT: Final = 3.0
CLOSE_WITHIN: Final = 0.5
"""Seconds for connections to Redis to be closed in good order."""

# What says that a store is unavailable, as opposed to a fault of ours.
UNAVAILABLE: Final = (
    *DATABASE_UNAVAILABLE,
    *REDIS_UNAVAILABLE,
    TooManyQuestions,
)


@dataclass(frozen=True, slots=True)
class Resources:
    """The parts of the service. Routes get those that they name (`dependencies`)."""

    pool: Pool
    states: OwnedStates
    client: Client
    sessions: Sessions
    presence: Presence
    connections: Connections
    callers: Callers
    door: Door
    passwords: PasswordChecks
    proxies: Proxies
    commands: CommandService
    command_changes: Changes
    sign_ups: Buckets | None
    """None: nobody makes an account himself."""
    sealer: Sealer
    removals: Removals
    revocations: Revocations
    streams: Streams
    downloads: Downloads
    hub: Hub
    dispatcher: Dispatcher
    lag: LoopLag
    attendances: Attendances
    clock: Callable[[], float]
    """Unix time."""


def connect_redis(url: str) -> Client:
    """A client with deadlines; one retry, since a kept connection may have been closed by a restart."""
    return open_redis(
        url,
        socket_connect_timeout=REDIS_CONNECT_TIMEOUT,
        socket_timeout=REDIS_TIMEOUT,
        retry=Retry(NoBackoff(), 1),
    )


@asynccontextmanager
async def open_resources(
    settings: Settings, sealer: Sealer, log: Any, traces: "Traces | None" = None
) -> AsyncIterator[Resources]:
    """Make the parts; neither PostgreSQL nor Redis need answer yet."""
    pool = await open_pool(
        settings.database_url.get_secret_value(),
        size=DATABASE_CONNECTIONS,
        acquire_within=ACQUIRE_WITHIN,
        answer_within=ANSWER_WITHIN,
    )
    client = connect_redis(settings.redis_url.get_secret_value())
    passwords = PasswordChecks(verify_password)
    sessions = Sessions(client, settings.api_session_timeout)
    try:
        nobody = await asyncio.to_thread(hash_password, secrets.token_urlsafe())
        sign_in = SignIn(pool, passwords, Remembered(time.monotonic), nobody)
        presence = Presence(client)
        connections = Connections(sessions, presence)
        door = Door(sign_in, LoginDelays(free=FREE), time.monotonic)
        authenticator = Authenticator(sessions, door, sign_in)
        proxies = Proxies(
            read_networks(settings.trusted_proxies),
            lambda peer: log.warning("X-Forwarded-For of an untrusted peer ignored", peer=peer, setting="OVMS_TRUSTED_PROXIES"),
        )
        limits = Limits(settings.rate_limit, settings.rate_limit_legacy, time.monotonic)
        subscriptions = Subscriptions(client, log)
        revocations = Revocations(client, subscriptions.party(), log)
        cars = Cars(client, subscriptions)
        wakers, changes = Wakers(subscriptions.party()), Changes(client)
        sender = Sender(pool, cars, sealer, changes, settings.timeout_answer, log)
        dispatcher = Dispatcher(
            name=secrets.token_hex(8),
            pool=pool,
            presence=presence,
            wakers=wakers,
            changes=changes,
            sender=sender,
            days=settings.command_days,
            log=log,
        )
        commands = CommandService(pool, presence, sealer, dispatcher, changes, wakers, settings.timeout_answer)
        # Decided once, so that without traces nothing asks whether there are some.
        hearing = Hearing()
        make_feed: Callable[..., Feed] = Feed if traces is None else partial(TracedFeed, traces, hearing)
        make_inbox: Callable[..., Inbox] = Inbox if traces is None else partial(TracedInbox, traces, hearing)
        party = subscriptions.party()
        hub = Hub(pool, presence, cars, party, time.time, log, make_feed=make_feed, make_inbox=make_inbox)
        attendances = Attendances(hub, authenticator, sessions, presence, revocations, settings.event_heartbeat)

        def remove(vehicle: int) -> None:
            hub.remove(vehicle)
            attendances.remove(vehicle)
            rendered.clear()

        subscribe_to_removals(party, remove)
        lag = LoopLag()
        working = [asyncio.create_task(part.run()) for part in (subscriptions, dispatcher, hub, lag)]
        try:
            yield Resources(
                pool=pool,
                states=OwnedStates(pool),
                client=client,
                sessions=sessions,
                presence=presence,
                connections=connections,
                callers=Callers(authenticator, proxies, limits, Origins(settings.cors_origins)),
                door=door,
                passwords=passwords,
                proxies=proxies,
                commands=commands,
                command_changes=changes,
                sign_ups=Buckets(SIGN_UPS, HOUR, time.monotonic) if settings.sign_up else None,
                sealer=sealer,
                removals=Removals(client),
                revocations=revocations,
                streams=Streams(hub, most=settings.event_streams, most_of_caller=settings.event_streams_of_caller),
                downloads=Downloads(),
                hub=hub,
                dispatcher=dispatcher,
                lag=lag,
                attendances=attendances,
                clock=time.time,
            )
        finally:
            await dispatcher.stop()
            await end_tasks(working)
    finally:
        passwords.close()
        pool.terminate()
        with suppress(*FAILURES):
            async with asyncio.timeout(CLOSE_WITHIN):
                await client.aclose()
