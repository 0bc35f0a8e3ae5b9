"""What cars say, traced: in front of each traced message goes of which trace it is."""

from collections.abc import Iterator
from typing import Any, cast

import pytest

from car_protocol import bootstrap
from car_protocol.rooms.hub import Room
from car_protocol.rooms.lease import Lease
from car_protocol.rooms.publisher import Publisher, publish_head
from car_protocol.routing import ROUTES
from car_protocol.tracing import TracedPublisher, traced_routes
from fakes.loops import FakeLoop
from fakes.peers import car
from fakes.rooms import vehicle
from fakes.servers import make_server
from fakes.traces import KeptTraces, ids, is_child
from ovms.bus.traces import read_traced
from ovms.identity import Role, VehicleName


class Traced:
    """A server whose publisher and routes are traced."""

    def __init__(self, ratio: float = 1.0) -> None:
        self.traces = KeptTraces(ratio)
        redis = cast("Any", None)
        self.publisher = TracedPublisher(self.traces, redis, Lease(), tick=0.02, limit=1 << 20, monotonic=lambda: 0.0)
        self.server = make_server()
        self.server.publisher = self.publisher
        self.room = Room(vehicle(7, "DEMO"), publish_head(VehicleName("DEMO", 7)))
        self.routes = traced_routes(ROUTES, self.publisher, self.traces)

    def says(self, message: bytes) -> None:
        self.routes[Role.CAR][message[0]](self.server, self.room, car(), message, 0.0)

    async def flush(self, error: Exception | None = None) -> list[tuple[bytes, bytes]]:
        """Channels and bodies of what goes out."""
        sent: list[bytes] = []

        async def send(data: bytes, check_health: bool) -> None:
            sent.append(data)
            if error is not None:
                raise error

        await self.publisher._flush(send)
        parts = b"".join(sent).split(b"\r\n")
        return [(parts[start + 4], parts[start + 6]) for start in range(0, len(parts) - 1, 7)]


@pytest.fixture
def traced() -> Iterator[Traced]:
    traced = Traced()
    yield traced
    traced.traces.close()


async def test_of_which_trace_a_message_is_comes_right_before_it(traced: Traced) -> None:
    traced.says(b"S75")
    (channel, head), message = await traced.flush()
    assert message == (b"ovms:{DEMO}:7:messages", b"0-1 S75")
    assert channel == b"ovms:{DEMO}:7:traces"
    ended = traced.traces.ended()
    code, parent = read_traced(head)
    assert code == ord("S")
    assert parent.startswith("00-{:032x}-{:016x}-".format(*ids(ended["publish"])))
    assert is_child(ended["publish"], ended["line"])
    assert ended["line"].parent is None


async def test_a_write_that_fails_is_said_of_its_spans(traced: Traced) -> None:
    traced.says(b"PAinterrupted")
    assert set(traced.traces.ended()) == {"line"}
    with pytest.raises(ConnectionResetError):
        await traced.flush(ConnectionResetError())
    assert not traced.traces.ended()["publish"].status.is_ok


def test_what_is_published_otherwise_or_not_at_all_is_not_traced(traced: Traced) -> None:
    for message in (b"A", b"h1,0,Test,1,86400,one", b"c20,0", b"ETtoken", b"gX"):
        traced.says(message)
    assert traced.traces.ended() == {}


async def test_what_is_not_drawn_is_published_as_ever() -> None:
    traced = Traced(ratio=0.0)
    traced.says(b"S75")
    assert await traced.flush() == [(b"ovms:{DEMO}:7:messages", b"0-1 S75")]
    assert traced.traces.ended() == {}
    traced.traces.close()


def test_without_traces_publisher_and_routes_are_the_plain_ones() -> None:
    client, loop = cast("Any", None), cast("Any", FakeLoop())
    publisher, routes = bootstrap._publishing(make_server().settings, client, Lease(), loop, None)
    assert type(publisher) is Publisher
    assert routes is ROUTES
