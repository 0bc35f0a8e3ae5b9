"""Traces what cars say, from the line to Redis. Made only where traces are wanted: without, there is none of this on the way.

Of which trace a message is comes right before it, on a channel of its own: bodies on the public channel stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from car_protocol.actions.notification import notify
from car_protocol.actions.state import store_and_forward
from car_protocol.rooms.hub import Peer, Room
from car_protocol.rooms.publisher import Publisher
from car_protocol.routing import Action
from car_protocol.server import Server
from ovms.bus.channels import traces_channel
from ovms.bus.traces import traced
from ovms.identity import Role

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from ovms.tracing import Traces

MOST_SPANS: Final = 1000
"""That may wait for Redis; of what comes then nothing is traced."""
_TRACED: Final = frozenset({store_and_forward, notify})
"""What publishes each message of a car as it is."""


class TracedPublisher(Publisher):
    """A publisher that knows which of what it publishes is traced."""

    def __init__(self, traces: Traces, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._traces = traces
        self._spans: list[Span] = []
        self._leaving: list[Span] = []

    def trace(self, room: Room, code: int, parent: Span) -> None:
        """The next message of a room, which is published now, is of a trace."""
        if len(self._spans) >= MOST_SPANS:
            return
        span = self._traces.begin("publish", "PRODUCER", {"messaging.system": "redis", "ovms.code": chr(code)}, parent)
        self._spans.append(span)
        self.publish_on(traces_channel(room.name).encode(), traced(code, self._traces.parent_text(span)))

    def _take(self) -> list[bytes]:
        self._leaving, self._spans = self._spans, []
        return super()._take()

    async def _flush(self, send: Callable[..., Any]) -> None:
        try:
            await super()._flush(send)
        except BaseException:
            self._end(failed=True)
            raise
        self._end(failed=False)

    def _end(self, *, failed: bool) -> None:
        for span in self._leaving:
            self._traces.end(span, failed=failed)


def traced_routes(
    routes: Mapping[Role, tuple[Action, ...]], publisher: TracedPublisher, traces: Traces
) -> Mapping[Role, tuple[Action, ...]]:
    """The routes, with some of what cars say traced."""
    of_cars = tuple(_traced(action, publisher, traces) if action in _TRACED else action for action in routes[Role.CAR])
    return {**routes, Role.CAR: of_cars}


def _traced(action: Action, publisher: TracedPublisher, traces: Traces) -> Action:
    def act(server: Server, room: Room, peer: Peer, message: bytes, now: float) -> None:
        if not traces.draws():
            action(server, room, peer, message, now)
            return
        span = traces.begin("line", "SERVER", {"ovms.code": chr(message[0])})
        publisher.trace(room, message[0], span)
        try:
            action(server, room, peer, message, now)
        finally:
            traces.end(span)

    return act
