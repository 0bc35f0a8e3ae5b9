"""What services read from channels of Redis: a body is read, or raises ValueError, which is logged."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from api_gateway.commands.replies import list_items, read_item, read_reply
from api_gateway.live.feed import SCOPES, Feed
from api_gateway.live.inbox import Inbox
from api_gateway.live.said import read_said
from api_gateway.live.tally import Tally
from ovms.bus import groups, replicas
from ovms.bus.messages import message_body, read_message
from ovms.bus.presence import present_of
from ovms.bus.removals import read_removed, removed, subscribe
from ovms.bus.revocations import Revocations
from ovms.bus.traces import read_traced, traced


class Channels:
    """Passes each body to the listeners."""

    def __init__(self) -> None:
        self.listeners: list[Any] = []

    def hear(self, _: bytes, listener: Any) -> None:
        self.listeners.append(listener)


def check(data: bytes) -> None:
    readers: tuple[Callable[[bytes], object], ...] = (
        present_of,
        read_said,
        read_reply,
        lambda body: read_item(body.decode("utf-8", "replace")),
        lambda body: list_items([body]),
        _removals,
        _revocations,
        _group,
        _replicas,
        _messages,
        _traces,
        _feed,
    )
    for read in readers:
        with suppress(ValueError):
            read(data)


def _removals(body: bytes) -> None:
    vehicles: list[int] = []
    channels = Channels()
    subscribe(channels, vehicles.append)
    channels.listeners[0].heard(body)
    assert vehicles == [read_removed(body)]
    assert read_removed(removed(vehicles[0])) == vehicles[0]


def _revocations(body: bytes) -> None:
    rechecks: list[None] = []
    channels = Channels()
    Revocations(cast("Any", None), cast("Any", channels), log=channels).watch(7, lambda: rechecks.append(None))
    channels.listeners[0].heard(body)
    assert len(rechecks) == 1  # whatever it says, PostgreSQL is asked


def _group(body: bytes) -> None:
    match groups.read_group(body):
        case groups.Update(replica, message):
            assert groups.read_group(groups.update(replica, message)) == (replica, message)
        case groups.Ask(asker):
            assert groups.read_group(groups.ask(asker)) == (asker,)


def _replicas(body: bytes) -> None:
    match replicas.read_word(body):
        case replicas.ToCar(session, vehicle, sender, message) as word:
            assert replicas.read_word(replicas.to_car(session, vehicle, sender, message)) == word
        case replicas.ToPeer(peer, message) as word:
            assert replicas.read_word(replicas.to_peer(peer, message)) == word


def _messages(body: bytes) -> None:
    version, message = read_message(body)
    assert read_message(message_body(version, message)) == (version, message)


def _traces(body: bytes) -> None:
    told = read_traced(body)
    assert read_traced(traced(*told)) == told


def _feed(body: bytes) -> None:
    feed = Feed(7, "DEMO", lambda _: None, lambda: 0.0)
    inbox = Inbox(None, lambda: 0.0, Tally(lambda: 0.0))
    feed.join(inbox, frozenset(SCOPES), None)
    for hear in (feed.heard_message, feed.heard_peers, feed.heard_command):
        with suppress(ValueError):
            hear(body)
