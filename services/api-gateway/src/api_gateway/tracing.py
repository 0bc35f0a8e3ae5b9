"""Traces calls, and what cars say from Redis to those who are told. Made only where somebody wants traces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api_gateway.edge.requests import route_of
from api_gateway.live.events import Told
from api_gateway.live.feed import Feed
from api_gateway.live.inbox import Inbox
from ovms.bus.channels import traces_channel
from ovms.bus.messages import read_message
from ovms.bus.traces import Traced, read_traced

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from ovms.tracing import Traces

MOST_WAITING: Final = 64
"""Traced events that wait for one reader; of more the oldest are traced no further."""


class Hearing:
    """The span of the message that a feed hears now, if that is traced: what is put into inboxes meanwhile is of it."""

    span: Span | None = None


class TracedInbox(Inbox):
    """An inbox that knows which of what waits is traced."""

    def __init__(self, traces: Traces, hearing: Hearing, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._traces = traces
        self._hearing = hearing
        self._spans: dict[int, tuple[Told, Span]] = {}
        """By the identity of the event, which therefore is kept."""

    def put(self, vehicle: int, what: str, event: Told, since: float | None) -> None:
        """Tell this in place of what waits of the same, in its turn."""
        super().put(vehicle, what, event, since)
        self._trace(event)

    def add(self, vehicle: int, event: Told, since: float) -> None:
        """Tell this once."""
        super().add(vehicle, event, since)
        self._trace(event)

    def _trace(self, event: Told) -> None:
        if (parent := self._hearing.span) is None:
            return
        if len(self._spans) >= MOST_WAITING:  # such as those in place of which newer ones were told
            del self._spans[next(iter(self._spans))]
        self._spans[id(event)] = (event, self._traces.begin("tell", "PRODUCER", {"ovms.event": event.kind}, parent))

    def has_told(self, told: Sequence[tuple[Told, float | None]], since: float | None) -> None:
        """What was taken has been told."""
        super().has_told(told, since)
        for event, _ in told:
            if (waiting := self._spans.pop(id(event), None)) is not None:
                self._traces.end(waiting[1])


class TracedFeed(Feed):
    """A feed that hears of which trace a message is."""

    def __init__(self, traces: Traces, hearing: Hearing, *given: Any) -> None:
        super().__init__(*given)
        self._traces = traces
        self._hearing = hearing
        self._next: Traced | None = None

    def _channels(self) -> list[tuple[bytes, Callable[[bytes], None]]]:
        return [(traces_channel(self.name).encode(), self.heard_trace), *super()._channels()]

    def heard_trace(self, body: bytes) -> None:
        """Something on the traces channel.

        Raises:
            ValueError: it is malformed.
        """
        self._next = read_traced(body)

    def heard_message(self, body: bytes) -> None:
        """Something on the messages channel.

        Raises:
            ValueError: it is malformed.
        """
        following, self._next = self._next, None
        _, message = read_message(body)
        if following is None or message[:1] != bytes((following.code,)):
            super().heard_message(body)
            return
        attributes = {"messaging.system": "redis", "ovms.code": chr(following.code)}
        self._hearing.span = span = self._traces.begin("hear", "CONSUMER", attributes, self._traces.parent(following.parent))
        try:
            super().heard_message(body)
        finally:
            self._hearing.span = None
            self._traces.end(span)


class TracedRequests:
    """Middleware around all others: some calls are traced, from the request to the head of its answer."""

    def __init__(self, app: ASGIApp, traces: Traces) -> None:
        self._app = app
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._traces.draws():
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        span = self._traces.begin(method, "SERVER", {"http.request.method": method})

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._end(span, scope, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            if span.is_recording():  # nobody was there any more to be answered
                self._traces.end(span, failed=True)

    def _end(self, span: Span, scope: Scope, status: int) -> None:
        route = route_of(scope)
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        self._traces.end(span, failed=status >= 500)
