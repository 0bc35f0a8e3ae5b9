"""What is heard of a trace, until its readers have been told; and calls."""

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from api_gateway.live.feed import Feed
from api_gateway.live.tally import Tally
from api_gateway.live.telling import take
from api_gateway.tracing import MOST_WAITING, Hearing, TracedFeed, TracedInbox, TracedRequests
from fakes.traces import KeptTraces, is_child
from ovms.bus.traces import traced

ALL = frozenset({"read", "location", "history"})


@pytest.fixture
def traces() -> Iterator[KeptTraces]:
    traces = KeptTraces()
    yield traces
    traces.close()


class Requests:
    """Keeps the request that a feed has made last."""

    last = 0

    def locate(self, feed: Feed, request: int) -> None:
        self.last = request

    def ask(self, feed: Feed, request: int, replica: str) -> None:
        self.last = request

    def read(self, feed: Feed, request: int) -> None:
        self.last = request

    def expect(self, feed: Feed) -> None:
        pass


class Scene:
    """A feed and its reader."""

    def __init__(self, traces: KeptTraces) -> None:
        self.traces = traces
        self.number = 0
        hearing, requests = Hearing(), Requests()
        self.feed = TracedFeed(traces, hearing, 7, "DEMO", requests, lambda: 1000.0)
        self.inbox = TracedInbox(traces, hearing, None, lambda: 1000.0, Tally(lambda: 1000.0))
        self.feed.join(self.inbox, ALL, None)
        self.feed.overdue()
        self.feed.stored(requests.last, {})

    def hear(self, message: bytes, code: str) -> None:
        self.feed.heard_trace(traced(ord(code), self.traces.parent_text(self.traces.begin("publish", "PRODUCER", {}))))
        self.number += 1
        self.feed.heard_message(b"5-%d %b" % (self.number, message))

    def tell(self) -> None:
        self.inbox.has_told(take(self.inbox), None)


@pytest.mark.parametrize(("message", "code"), [(b"S75,K", "S"), (b"PAinterrupted", "P")])
def test_a_trace_ends_when_its_reader_has_been_told(traces: KeptTraces, message: bytes, code: str) -> None:
    scene = Scene(traces)
    scene.hear(message, code)
    assert set(traces.ended()) == {"hear"}
    scene.tell()
    ended = traces.ended()
    assert is_child(ended["tell"], ended["hear"])
    assert ended["hear"].parent is not None


def test_a_message_that_is_not_the_one_that_was_said_is_of_no_trace(traces: KeptTraces) -> None:
    scene = Scene(traces)
    scene.hear(b"D0,0,5", "S")
    scene.feed.heard_message(b"5-1 S75,K")
    scene.tell()
    assert traces.ended() == {}


def test_channels_are_joined_with_that_of_traces_first(traces: KeptTraces) -> None:
    channels = [channel for channel, _ in Scene(traces).feed._channels()]
    assert channels[:2] == [b"ovms:{DEMO}:7:traces", b"ovms:{DEMO}:7:messages"]


def test_what_waits_for_a_reader_who_reads_nothing_is_bounded(traces: KeptTraces) -> None:
    scene = Scene(traces)
    for number in range(2 * MOST_WAITING):
        scene.hear(b"S%d,K" % number, "S")
    assert len(scene.inbox._spans) == MOST_WAITING


# ---- calls


async def call(traces: KeptTraces, status: int | None) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = type("Route", (), {"path_format": "/api/status/{vehicle_id}"})
        if status is not None:
            await send({"type": "http.response.start", "status": status, "headers": []})

    async def send(message: Any) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": "/api/status/DEMO"}
    await TracedRequests(app, traces)(scope, send, send)  # type: ignore[arg-type]
    [span] = traces.ended().values()
    return span


async def test_a_call_is_named_by_its_route(traces: KeptTraces) -> None:
    span = await call(traces, 200)
    assert span.name == "GET /api/status/{vehicle_id}"
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.route": "/api/status/{vehicle_id}",
        "http.response.status_code": 200,
    }
    assert "DEMO" not in span.to_json()


@pytest.mark.parametrize("status", [503, None])
async def test_a_call_that_fails_says_so(traces: KeptTraces, status: int | None) -> None:
    assert not (await call(traces, status)).status.is_ok
