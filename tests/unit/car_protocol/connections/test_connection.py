"""One socket around one session."""

import asyncio
from itertools import pairwise
from typing import Any, cast

import pytest

from car_protocol.connections.connection import HARD_BUFFER, MOST_AT_ONCE, MOST_UNREAD, SLOW_READER, Connection
from car_protocol.server import Server
from fakes.loops import FakeLoop
from fakes.peers import app as fake_app
from fakes.peers import car as fake_car
from fakes.rooms import vehicle
from fakes.servers import FakeDesk, make_server
from fakes.transports import FakeTransport
from ovms.identity import Role
from ovms.protocol import ClientSession, Welcomed

SECRET, SERVER_TOKEN, CLIENT_TOKEN = b"NETPASS", b"0123456789abcdefghijkl", b"AbCdEfGhIjKlMnOpQrStUv"
GARBAGE = b"this is no message\r\n"


class Line:
    """A connection, the transport that it has, and the client at the other end."""

    def __init__(self, server: Server, role: Role = Role.CAR) -> None:
        self.server = server
        self.connection = Connection(server)
        self.transport = FakeTransport()
        self.client = ClientSession(role, "DEMO", SECRET, CLIENT_TOKEN)
        self._read = 0
        self.connection.connection_made(cast("Any", self.transport))

    def turn(self) -> None:
        """Let the loop go on to its next turn."""
        cast("FakeLoop", self.server.loop).advance(0)

    def say(self, *messages: bytes) -> None:
        for message in messages:
            self.client.send(message)
        self.connection.data_received(self.client.data_to_send())

    def hear(self) -> list[object]:
        """What the client has been sent since the last call."""
        self.turn()
        for written in self.transport.writes[self._read :]:
            assert written.endswith(b"\r\n"), "lines go out whole"
            self.client.receive_data(written)
        self._read = len(self.transport.writes)
        return list(self.client.events())

    def enter(self, *, extra: bytes = b"") -> None:
        """Log in, as the desk lets it."""
        self.connection.data_received(self.client.data_to_send() + extra)
        room = self.server.hub.room(vehicle())
        self.connection.enter(room, SECRET, SERVER_TOKEN)
        now = self.server.loop.time()
        if self.client_role is Role.CAR:
            self.server.hub.join_car(room, self.connection, now, epoch=1)
        else:
            self.connection.hold_back()
            self.server.hub.join_watcher(room, self.connection, now)

    @property
    def client_role(self) -> Role:
        return self.connection.role

    def lose(self) -> None:
        """The transport has ended."""
        self.connection.connection_lost(None)


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop()


@pytest.fixture
def server(loop: FakeLoop) -> Server:
    return make_server(loop=loop, logins_per_address=2, write_buffer=1000)


def greeted(server: Server, role: Role) -> Line:
    line = Line(server, role)
    line.enter()
    if role is not Role.CAR:
        line.connection.release([b"Z0", b"T5"])
    line.hear()
    return line


# ---- login


def test_a_login_is_given_to_the_desk_and_nothing_is_sent(server: Server) -> None:
    line = Line(server)
    line.connection.data_received(line.client.data_to_send())
    [(caller, login)] = cast("FakeDesk", server.desk).asked
    assert caller is line.connection
    assert (login.role, login.vehicle_id, line.connection.role) == (Role.CAR, "DEMO", Role.CAR)
    assert line.transport.writes == []


def test_who_is_let_in_is_answered_and_then_hears(server: Server) -> None:
    line = Line(server)
    line.enter()
    assert line.hear() == [Welcomed(), b"Z0"]
    assert server.counters.logins == {"accepted": 1}
    line.say(b"A")
    assert line.hear() == [b"a"]


def test_who_is_refused_is_closed_without_a_byte(server: Server) -> None:
    line = Line(server)
    line.connection.data_received(line.client.data_to_send())
    line.connection.refuse()
    assert (line.transport.is_closed, line.transport.writes) == (True, [])
    line.connection.data_received(GARBAGE)
    line.lose()
    assert server.counters.logins == {"refused": 1}
    assert len(server.connections) == 0


@pytest.mark.parametrize(
    ("line_sent", "reason"), [(b"HELLO THERE\r\n", "BadWelcome"), (b"MP-C 9 a AAAA x\n", "UnsupportedScheme")]
)
def test_what_is_no_welcome_is_closed_without_a_byte(server: Server, line_sent: bytes, reason: str) -> None:
    line = Line(server)
    line.connection.data_received(line_sent)
    assert (line.transport.is_closed, line.transport.writes) == (True, [])
    assert server.counters.closed == {reason: 1}


def test_who_is_thrown_out_at_once_has_his_answer_first(server: Server, loop: FakeLoop) -> None:
    line = Line(server, Role.APP)
    line.enter()
    line.connection.close("too much happened before its greeting")
    loop.advance(0)
    assert line.hear() == [Welcomed()]
    assert line.transport.is_closed


def test_an_app_hears_its_greeting_before_what_came_meanwhile(server: Server, loop: FakeLoop) -> None:
    line = Line(server, Role.APP)
    line.enter()
    loop.advance(0)
    line.connection.send(b"S2", 0)
    line.connection.send(b"T0", 0)
    assert line.hear() == [Welcomed()]
    line.connection.release([b"Z1", b"S1", b"T5"])
    assert line.hear() == [b"Z1", b"S1", b"T5", b"S2", b"T0"]
    line.connection.send(b"S3", 0)
    assert line.hear() == [b"S3"]


@pytest.mark.parametrize("role", [Role.CAR, Role.APP])
def test_garbage_that_came_with_the_welcome_ends_the_connection(server: Server, loop: FakeLoop, role: Role) -> None:
    line = Line(server, role)
    line.enter(extra=GARBAGE)
    loop.advance(0)
    assert line.transport.is_closed


def test_an_app_that_failed_before_its_greeting_harms_nobody(server: Server) -> None:
    line = Line(server, Role.APP)
    line.enter(extra=GARBAGE)
    line.connection.release([b"Z1"])


@pytest.mark.parametrize("answer", ["enter", "refuse"])
def test_an_answer_to_who_has_just_failed_harms_nobody(server: Server, answer: str) -> None:
    line = Line(server)
    line.connection.data_received(line.client.data_to_send())
    line.connection.data_received(b"x" * 5000)
    assert line.transport.is_closed
    if answer == "enter":
        line.connection.enter(server.hub.room(vehicle()), SECRET, SERVER_TOKEN)
    else:
        line.connection.refuse()


def test_an_app_that_is_let_go_before_its_greeting_harms_nobody(server: Server) -> None:
    line = Line(server, Role.APP)
    line.enter()
    line.connection.close("this server stops")
    line.connection.release([b"Z1"])


# ---- messages


def test_messages_of_a_car_reach_its_room(server: Server) -> None:
    line, watching = greeted(server, Role.CAR), fake_app()
    room = server.hub.room(vehicle())
    server.hub.join_watcher(room, watching, 0)
    line.say(b"S75", b"L22")
    assert watching.take() == [b"S75", b"T0", b"L22", b"T0"]
    assert set(server.recorder.pending(room.vehicle)) == set(b"SL")


def test_what_is_sent_in_a_turn_of_the_loop_goes_out_in_one_write_of_whole_lines(server: Server) -> None:
    line, other = greeted(server, Role.APP), greeted(server, Role.BATCH)
    before = len(line.transport.writes)
    for message in (b"S1", b"T0"):
        line.connection.send(message, 0)
        other.connection.send(message, 0)
    line.turn()
    assert len(line.transport.writes) == before + 1
    assert (line.hear(), other.hear()) == ([b"S1", b"T0"], [b"S1", b"T0"])
    line.connection.send(b"S2", 0)
    assert line.hear() == [b"S2"]


def test_what_does_not_decode_ends_the_connection_after_what_came_before_it(server: Server) -> None:
    line = greeted(server, Role.CAR)
    line.client.send(b"S75")
    line.connection.data_received(line.client.data_to_send() + GARBAGE)
    assert line.transport.is_closed
    assert server.counters.closed == {"Undecodable": 1}
    assert len(server.recorder.pending(vehicle().key)) == 1
    line.say(b"D1")
    assert len(server.recorder.pending(vehicle().key)) == 1


@pytest.mark.parametrize("role", Role)
def test_who_has_gone_is_forgotten(server: Server, role: Role) -> None:
    line = greeted(server, role)
    line.lose()
    assert len(server.hub) == len(server.connections) == 0
    assert server.gate.inside == 0
    line.connection.send(b"S1", 0)
    assert line.hear() == []
    assert line.connection.is_gone


def test_the_newest_login_of_a_car_closes_the_one_before(server: Server) -> None:
    first, second = greeted(server, Role.CAR), Line(server)
    second.enter()
    assert first.transport.is_closed
    first.lose()
    assert second.hear() == [Welcomed(), b"Z0"]
    assert server.hub.room(vehicle()).car is second.connection
    second.connection.close("again")
    second.connection.close("and again")
    assert second.transport.is_closed


# ---- times


def test_who_does_not_log_in_is_closed_after_30_s(server: Server, loop: FakeLoop) -> None:
    line = Line(server)
    loop.advance(29)
    assert not line.transport.is_closed
    loop.advance(4)
    assert line.transport.is_closed
    assert server.counters.closed == {"TimedOut": 1}


def test_a_login_that_we_do_not_answer_is_held_for_longer_than_a_car_waits(server: Server, loop: FakeLoop) -> None:
    line = Line(server)
    line.connection.data_received(line.client.data_to_send())
    loop.advance(70)
    assert not line.transport.is_closed
    loop.advance(10)
    assert line.transport.is_closed


def test_a_car_that_hears_nothing_is_pinged_and_closed_when_it_says_nothing(server: Server, loop: FakeLoop) -> None:
    line = greeted(server, Role.CAR)
    loop.advance(890)
    assert line.hear() == []
    loop.advance(15)
    assert line.hear() == [b"A"]
    loop.advance(50)
    assert not line.transport.is_closed
    loop.advance(10)
    assert line.transport.is_closed
    assert line.hear() == []


def test_a_car_that_answers_is_kept(server: Server, loop: FakeLoop) -> None:
    line, pings = greeted(server, Role.CAR), 0
    for _ in range(100):
        loop.advance(100)
        line.say(b"S1")
        pings += line.hear().count(b"A")
    assert not line.transport.is_closed
    assert 8 <= pings <= 11


@pytest.mark.parametrize(("role", "seconds"), [(Role.APP, 1200), (Role.BATCH, 120)])
def test_a_silent_watcher_is_closed_in_its_time(server: Server, loop: FakeLoop, role: Role, seconds: int) -> None:
    line = greeted(server, role)
    loop.advance(seconds - 1)
    assert not line.transport.is_closed
    loop.advance(4)
    assert line.transport.is_closed


def test_a_connection_that_has_gone_has_no_timer(server: Server, loop: FakeLoop) -> None:
    line = greeted(server, Role.CAR)
    line.lose()
    loop.advance(5000)
    assert line.hear() == []


# ---- slow readers


def test_a_slow_reader_is_let_go_after_a_while(server: Server, loop: FakeLoop) -> None:
    line = greeted(server, Role.APP)
    assert line.transport.high == 1000
    line.connection.pause_writing()
    loop.advance(SLOW_READER - 1)
    assert not line.transport.is_closed
    loop.advance(4)
    assert line.transport.is_aborted
    assert server.counters.closed == {"SlowReader": 1}


def test_a_reader_that_catches_up_is_kept(server: Server, loop: FakeLoop) -> None:
    line = greeted(server, Role.APP)
    line.connection.pause_writing()
    loop.advance(SLOW_READER - 5)
    line.connection.resume_writing()
    loop.advance(100)
    assert not line.transport.is_closed


def test_a_slow_reader_gets_only_the_newest_update_of_each_car_of_a_group(server: Server) -> None:
    line = greeted(server, Role.APP)
    module = fake_car()
    line.say(b"Gfriends")
    line.connection.pause_writing()
    for number in range(100):
        server.groups.update(module, b"FRIENDS", b"gDEMO,FRIENDS,%d" % number)
    assert line.hear() == []
    line.connection.resume_writing()
    assert line.hear() == [b"gDEMO,FRIENDS,99"]


def test_a_slow_reader_is_let_go_also_where_another_timer_comes_first(server: Server, loop: FakeLoop) -> None:
    line = greeted(server, Role.APP)
    loop.advance(1190)
    line.say(b"A")
    line.connection.pause_writing()
    loop.advance(SLOW_READER + 5)
    assert line.transport.is_aborted


def test_a_reader_that_is_far_behind_is_let_go_at_once(server: Server) -> None:
    line = greeted(server, Role.APP)
    line.connection.pause_writing()
    line.transport.unread = HARD_BUFFER * 1000
    line.connection.send(b"S1", 0)
    line.turn()
    assert not line.transport.is_closed
    line.transport.unread += 1
    line.connection.send(b"S1", 0)
    line.turn()
    assert line.transport.is_aborted
    line.connection.send(b"S1", 0)


# ---- bounds


def test_connections_of_an_address_beyond_the_bound_wait_unread(server: Server) -> None:
    first, second, third = Line(server), Line(server), Line(server)
    assert (first.transport.is_reading, second.transport.is_reading) == (True, True)
    assert not third.transport.is_reading
    assert not third.transport.is_closed
    first.enter()
    assert third.transport.is_reading
    third.connection.data_received(third.client.data_to_send())
    assert cast("FakeDesk", server.desk).asked[-1][0] is third.connection


def test_a_connection_that_waits_for_its_turn_has_all_its_time_after_it(server: Server, loop: FakeLoop) -> None:
    Line(server), (last := Line(server))
    waiting = Line(server)
    loop.advance(20)
    last.lose()
    loop.advance(20)
    assert not waiting.transport.is_closed
    loop.advance(15)
    assert waiting.transport.is_closed


def test_one_that_is_gone_before_its_turn_takes_none(server: Server) -> None:
    first, _, third, fourth = Line(server), Line(server), Line(server), Line(server)
    third.lose()
    first.lose()
    assert not third.transport.is_reading
    assert fourth.transport.is_reading


def test_what_comes_before_its_turn_is_read_then(server: Server) -> None:
    """uvloop reads once in spite of a transport that was paused in `connection_made`."""
    first, _, waiting = Line(server), Line(server), Line(server)
    waiting.transport.resume_reading()
    welcome = waiting.client.data_to_send()
    waiting.connection.data_received(welcome[:5])
    assert not waiting.transport.is_reading
    waiting.connection.data_received(welcome[5:])
    asked = cast("FakeDesk", server.desk).asked
    assert asked == []
    first.lose()
    assert waiting.transport.is_reading
    assert [caller for caller, _ in asked] == [waiting.connection]


def test_what_comes_before_its_turn_is_bounded(server: Server) -> None:
    first, _, waiting = Line(server), Line(server), Line(server)
    waiting.connection.data_received(b"x" * MOST_UNREAD)
    assert not waiting.transport.is_closed
    waiting.connection.data_received(b"x")
    assert waiting.transport.is_closed
    first.lose()
    waiting.lose()
    assert server.gate.inside == 1


def test_one_that_never_gets_its_turn_is_closed_after_a_car_has_given_up(server: Server, loop: FakeLoop) -> None:
    desk = [Line(server), Line(server)]
    for line in desk:
        line.enter()
        line.hear()
    server.gate._limit = 0
    waiting = Line(server)
    loop.advance(70)
    assert not waiting.transport.is_closed
    loop.advance(10)
    assert waiting.transport.is_closed


async def test_cars_are_read_no_more_while_what_waits_is_too_much(loop: FakeLoop) -> None:
    server = make_server(loop=loop, pending_bytes=1000)
    line = greeted(server, Role.CAR)
    line.say(b"S" + b"x" * 1000)
    assert not line.transport.is_reading
    line.say(b"D1")
    await server.recorder.flush()
    assert line.transport.is_reading
    assert server._waiting_for_recorder == []


async def test_one_that_has_gone_is_not_read_on(loop: FakeLoop) -> None:
    server = make_server(loop=loop, pending_bytes=1000)
    line = greeted(server, Role.CAR)
    line.say(b"S" + b"x" * 1000)
    line.transport.close()
    line.lose()
    await server.recorder.flush()
    assert not line.transport.is_reading


async def test_a_car_that_we_do_not_read_is_not_silent(loop: FakeLoop) -> None:
    server = make_server(loop=loop, pending_bytes=1000)
    line = greeted(server, Role.CAR)
    line.say(b"S" + b"x" * 1000)
    assert not line.transport.is_reading
    loop.advance(1000)
    assert not line.transport.is_closed


async def test_who_sends_too_fast_is_read_no_faster(loop: FakeLoop) -> None:
    server = make_server(loop=loop, messages_per_second=4)
    line = greeted(server, Role.CAR)
    line.say(b"S1", b"S2", b"S3")
    assert line.transport.is_reading
    line.say(b"S4")
    assert not line.transport.is_reading
    assert server.recorder.pending(vehicle().key)[ord("S")].message == b"S4"
    loop.advance(1.3)
    assert line.transport.is_reading
    line.say(b"S5", b"S6", b"S7")
    assert line.transport.is_reading


def test_many_messages_in_one_read_are_not_followed_by_others_before_their_time_is_over(loop: FakeLoop) -> None:
    server = make_server(loop=loop, messages_per_second=4)
    line = greeted(server, Role.CAR)
    loop.advance(2)
    line.say(*[b"A"] * 40)
    loop.advance(9.9)
    assert not line.transport.is_reading
    loop.advance(0.2)
    assert line.transport.is_reading


async def test_one_read_of_many_messages_is_handled_over_several_turns_in_order() -> None:
    server = make_server(loop=cast("Any", asyncio.get_running_loop()), messages_per_second=10**6)
    line, received = Line(server), server.counters.received
    line.enter()
    await asyncio.sleep(0)
    line.client.receive_data(b"".join(line.transport.writes))
    count = 5000
    line.say(*[b"S%d" % number for number in range(count)])
    handled = [0, received[ord("S")]]
    while handled[-1] < count:
        assert not line.transport.is_reading
        await asyncio.sleep(0)
        handled.append(received[ord("S")])
    steps = [after - before for before, after in pairwise(handled)]
    assert max(steps) <= MOST_AT_ONCE // len(b"MP-0 S0\r\n")
    assert line.transport.is_reading
    assert server.recorder.pending(vehicle().key)[ord("S")].message == b"S%d" % (count - 1)


def test_the_rest_of_a_read_waits_while_a_peer_is_too_fast(loop: FakeLoop) -> None:
    server = make_server(loop=loop, messages_per_second=100)
    line, received = greeted(server, Role.CAR), server.counters.received
    loop.advance(2)
    line.say(*[b"S%d" % number for number in range(5000)])
    first = received[ord("S")]
    loop.advance(first / 100 - 1)
    assert (received[ord("S")], line.transport.is_reading) == (first, False)
    loop.advance(100)
    assert (received[ord("S")], line.transport.is_reading) == (5000, True)
    assert server.recorder.pending(vehicle().key)[ord("S")].message == b"S4999"


def test_the_rest_of_a_read_is_dropped_once_the_connection_is_closed(loop: FakeLoop) -> None:
    server = make_server(loop=loop, messages_per_second=10**6)
    line, received = greeted(server, Role.CAR), server.counters.received
    line.say(*[b"S%d" % number for number in range(5000)])
    first = received[ord("S")]
    line.connection.close("the test ends it")
    line.turn()
    line.lose()
    line.turn()
    assert received[ord("S")] == first
