"""One socket around one ServerSession; everything else is told what happened."""

import asyncio
import secrets
from collections.abc import Sequence
from typing import Final, cast

import structlog

from car_protocol.connections.websocket import WebSocket
from car_protocol.rooms.hub import Room
from car_protocol.routing import Action
from car_protocol.server import Server
from ovms.errors import ProtocolError
from ovms.identity import Role
from ovms.protocol import Failed, Login, ProvisionRequest, ServerSession, State, UserLogin
from ovms.protocol.server import LINE_LIMITS

HARD_BUFFER: Final = 16
"""A reader is let go at once when this many times the write buffer waits for it."""
MOST_HELD: Final = 10_000
"""Messages that may come between an app's login and its greeting, which waits for PostgreSQL."""
MOST_UNREAD: Final = 16 * 1024
"""Bytes of one who has to wait before he is read; what comes before a login is far less."""
MOST_AT_ONCE: Final = 16 * 1024
"""Bytes of a peer that are handled in one turn of the loop. One read may bring 256 KiB, in lines of two bytes 130,000 messages,
each of which may be for a hundred watchers."""
SLOW_READER: Final = 30.0
"""Seconds that more than the write buffer may wait for a reader."""


class Connection(asyncio.Protocol):
    """A peer's connection, from its socket to its place in a room."""

    __slots__ = (
        "__weakref__",
        "_actions",
        "_address",
        "_admitted",
        "_asked_at",
        "_has_unwritten",
        "_held",
        "_in_this_second",
        "_is_fresh",
        "_is_read",
        "_received",
        "_room",
        "_second_ends",
        "_sent",
        "_server",
        "_session",
        "_session_id",
        "_slow_since",
        "_transport",
        "_unread",
        "_websocket",
        "role",
    )

    role: Role
    _actions: tuple[Action, ...]
    _transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self._server = server
        self._session = ServerSession(server.loop.time(), server.timeouts)
        self._address: str | None = None
        self._admitted = False
        self._room: Room | None = None
        self._held: list[bytes] | None = None
        self._received = self._sent = self._in_this_second = 0
        self._asked_at = self._second_ends = 0.0
        self._slow_since: float | None = None
        self._is_fresh = True
        self._has_unwritten = False
        self._unread = b""
        self._websocket: WebSocket | None = None
        self._is_read = True
        self._session_id = 0

    @property
    def session_id(self) -> str:
        """What lines of the log about this connection have in common; most connections have few, and need none before."""
        self._session_id = self._session_id or 1 + secrets.randbelow(2**40 - 1)
        return f"{self._session_id:010x}"

    @property
    def address(self) -> str:
        """Where it comes from."""
        return str(self._transport.get_extra_info("peername", ("",))[0])

    @property
    def is_gone(self) -> bool:
        """Whether it has ended, even if its socket has not been told yet."""
        return self._session.state is State.CLOSED

    @property
    def is_in_session(self) -> bool:
        """Whether it has logged in, and has not ended."""
        return self._session.state is State.READY

    # ---- the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer has connected."""
        self._transport = cast("asyncio.Transport", transport)
        self._server.came(self)
        self._transport.set_write_buffer_limits(high=self._server.settings.write_buffer)
        self._address = address = str(transport.get_extra_info("peername", ("",))[0])
        if self._server.gate.enter(address, self):
            self._admitted = True
            self._arm()
        else:
            self._transport.pause_reading()
            self._server.wheel.add(self, self._server.loop.time() + self._server.timeouts.hold)

    def admit(self) -> None:
        """Its address has fewer connections logging in now: it may be read."""
        self._admitted = True
        if self._transport.is_closing():
            return
        self._session = ServerSession(self._server.loop.time(), self._server.timeouts)
        self._arm()
        self._transport.resume_reading()
        if self._unread:
            unread, self._unread = self._unread, b""
            self.data_received(unread)

    def _wait_unread(self, data: bytes) -> None:
        # uvloop begins to read after `connection_made`, whatever that has said: so once it reads in vain, and stops then.
        self._transport.pause_reading()
        self._unread += data
        if len(self._unread) > MOST_UNREAD:
            self.close("it says too much before it is read")

    def data_received(self, data: bytes) -> None:
        """Bytes have come: the path of every message of every car."""
        if self._is_fresh and not self._admitted:
            self._wait_unread(data)
            return
        if len(data) > MOST_AT_ONCE or self._unread:
            data = self._put_off(data)
        now = self._server.loop.time()
        if now >= self._second_ends:
            self._second_ends, self._in_this_second = now + 1.0, 0
        self._received += len(data)
        if self._is_fresh:
            self._is_fresh = False
            # A WebSocket begins like any HTTP request, `GET`; no welcome begins so.
            if data[:1] == b"G":
                self._websocket = WebSocket(self._server.loop.time)
        if self._websocket is not None:
            self._receive_frames(self._websocket, data, now)
        else:
            self._session.receive_data(data, now)
            self._handle_events(now)

    def _put_off(self, data: bytes) -> bytes:
        """Return what is handled in this turn of the loop, and keep the rest for the next one; nothing is read meanwhile."""
        data = self._unread + data
        self._unread = data[MOST_AT_ONCE:]
        if self._unread:
            self._transport.pause_reading()
            self._server.loop.call_soon(self._read_on)
        return data[:MOST_AT_ONCE]

    def _read_on(self) -> None:
        """Handle more of what was read; where reading is paused for another reason, `resume` goes on with it."""
        if self._is_read and not (self.is_gone or self._transport.is_closing()):
            self.data_received(b"")
            if self._is_read and not self._unread:
                self._transport.resume_reading()

    def _receive_frames(self, websocket: WebSocket, data: bytes, now: float) -> None:
        self._session.receive_data(websocket.receive(data), now)
        if answer := websocket.data_to_send():
            self._transport.write(answer)
            if self._slow_since is not None:
                self._check_buffer()
        self._handle_events(now)
        if websocket.failure is not None and not self.is_gone:
            self._session.close()
            self._fail(websocket.failure)

    def _write_soon(self) -> None:
        """Write once for all that it is sent in this turn of the loop: a write costs more than all else of a message."""
        if not self._has_unwritten:
            self._has_unwritten = True
            self._server.write_soon(self)

    def write(self) -> None:
        """Write what it was sent in this turn of the loop."""
        self._has_unwritten = False
        if not self._transport.is_closing():
            self._flush()
            if self._slow_since is not None:
                self._check_buffer()

    def _flush(self) -> None:
        pending = self._session.data_to_send()
        if pending and self._websocket is not None:
            pending = self._websocket.frame(pending)
        if pending:
            self._sent += len(pending)
            self._transport.write(pending)

    def _handle_events(self, now: float) -> None:
        server, room, events = self._server, cast("Room", self._room), self._session.events()
        received = server.counters.received
        self._in_this_second += len(events)
        for event in events:
            if type(event) is bytes:
                received[event[0]] += 1
                self._actions[event[0]](server, room, self, event, now)
            elif type(event) is Login:
                self._ask(event)
            elif type(event) is UserLogin:
                self._ask_as_user(event)
            elif type(event) is ProvisionRequest:
                server.desk.ask_for_configuration(self, event.key)
            elif type(event) is Failed:
                self._fail(event.error)
        if server.recorder.is_full:
            self._pause()
            server.waits_for_recorder(self)
        elif self._in_this_second > server.settings.messages_per_second:
            self._pause()
            # One read may bring many seconds' worth: it is not read again before they are over.
            server.loop.call_at(now + self._in_this_second / server.settings.messages_per_second, self.resume)

    def _pause(self) -> None:
        """Read no more for a while: what it sends waits in its own buffers."""
        self._is_read = False
        self._transport.pause_reading()

    def resume(self) -> None:
        """What it waited for is over."""
        self._is_read = True
        self._session.excuse_silence(self._server.loop.time())
        if self._unread:
            self._read_on()
        elif not self._transport.is_closing():
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        """The peer reads more slowly than it is sent to."""
        self._slow_since = self._server.loop.time()
        self._server.wheel.add(self, self._slow_since + SLOW_READER)

    def resume_writing(self) -> None:
        """The peer has caught up."""
        self._slow_since = None
        self._server.groups.caught_up(self)

    @property
    def is_behind(self) -> bool:
        """Whether the peer reads more slowly than it is sent to."""
        return self._slow_since is not None

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The connection has ended, whoever ended it."""
        self._server.went(self)
        self._session.close()
        self._server.wheel.remove(self)
        self._leave_gate()
        if self._room is not None:
            self._server.hub.leave(self._room, self, self._server.loop.time())
            self._server.groups.leave(self)
            self.take_traffic()

    # ---- login

    def _ask(self, login: Login) -> None:
        self._note_login(login.role)
        self._server.desk.ask(self, login)

    def _note_login(self, role: Role) -> None:
        self.role = role
        self._asked_at = self._server.loop.time()
        self._arm()

    def _ask_as_user(self, login: UserLogin) -> None:
        self._note_login(login.role)
        is_in_clear = self._transport.get_extra_info("ssl_object") is None
        if is_in_clear and not self._server.settings.user_login_in_clear:
            self.close("users may not log in without TLS")
            return
        if is_in_clear:
            words = "a user logs in without TLS: his password can be read on its way"
            structlog.get_logger("connection").warning(words, session=self.session_id)
        self._server.users.ask(self, login)

    def enter(self, room: Room, secret: bytes, server_token: bytes) -> None:
        """It is let in: answer the welcome of scheme 0."""
        if not self.is_gone:
            self._session.accept(secret, server_token, self._server.loop.time())
            self._enter(room)

    def enter_user(self, room: Room, user: str, vehicle_ids: Sequence[str]) -> None:
        """It is let in: answer the welcome of scheme 1."""
        if not self.is_gone:
            self._session.accept_user(user, room.vehicle_id, vehicle_ids, self._server.loop.time())
            self._enter(room)

    def _enter(self, room: Room) -> None:
        if self._websocket is not None:
            self._websocket.logged_in(LINE_LIMITS[self.role])
        self._room = room
        self._actions = self._server.routes[self.role]
        self._leave_gate()
        self._server.shares.leave(self._transport.get_extra_info("peername")[:2])
        self._flush()  # at once: who is thrown out in this very turn must have had his answer
        self._count_login("accepted")
        if self._server.settings.log_level == "debug":  # else even to be told that nobody wants it takes a tenth of a login
            log = structlog.get_logger("connection")
            log.debug("logged in", session=self.session_id, role=self.role.name, vehicle=room.vehicle_id)
        # Once it has its place in the room, what it sent too early is read.
        self._server.loop.call_soon(self._begin)
        self._server.wheel.remove(self)
        self._arm()

    def _begin(self) -> None:
        if not self._transport.is_closing():
            self._go_on()

    def provision(self, record: bytes, secret: bytes, token: bytes) -> None:
        """Send its configuration to a module."""
        self._session.provision(record, secret, token, self._server.loop.time())
        self._go_on()

    def provision_enciphered(self, token: bytes, digest: bytes, record: bytes) -> None:
        """Send a module its configuration as it was enciphered elsewhere."""
        self._session.provision_enciphered(token, digest, record, self._server.loop.time())
        self._go_on()

    def provision_nothing(self) -> None:
        """Say that there is none."""
        self._session.provision_nothing(self._server.loop.time())
        self._go_on()

    def _go_on(self) -> None:
        self._flush()
        self._handle_events(self._server.loop.time())

    def refuse(self) -> None:
        """Its credentials are wrong: close without a byte, as the reference does."""
        if not self.is_gone:
            self._count_login("refused")
            self._session.reject()
            self._log("login refused")
            self._end()

    def _count_login(self, result: str) -> None:
        counters = self._server.counters
        counters.logins[result] += 1
        counters.login_seconds.observe(self._server.loop.time() - self._asked_at)

    @property
    def is_held_back(self) -> bool:
        """Whether it waits to be greeted."""
        return self._held is not None

    def hold_back(self) -> None:
        """Keep what is sent to it until `release`."""
        self._held = []

    def release(self, greeting: Sequence[bytes]) -> None:
        """Send the greeting, then what was kept."""
        held, self._held = self._held or [], None
        now = self._server.loop.time()
        if not self.is_gone:
            for message in (*greeting, *held):
                self._server.counters.sent[message[0]] += 1
                self._session.send(message, now)
            self._flush()

    # ---- a peer of the room

    def send(self, message: bytes, now: float) -> None:
        """Send a message: one byte of code, then the data. Who is gone hears nothing."""
        if self._held is not None:
            self._held.append(message)
            if len(self._held) > MOST_HELD and not self.is_gone:
                self.close("too much happened before its greeting")
        elif self._session.state is State.READY:
            self._server.counters.sent[message[0]] += 1
            self._session.send(message, now)
            self._write_soon()

    async def has_read(self) -> None:
        """Wait until the peer has read most of what was sent, or has gone."""
        self.write()  # else nobody knows yet whether it is too much
        while self._slow_since is not None and not self.is_gone:  # noqa: ASYNC110 (few wait, and not for long)
            await asyncio.sleep(0.05)

    def close(self, reason: str) -> None:
        """End the connection after what was sent."""
        if self._session.state is not State.CLOSED:
            self._session.close()
            self._log(reason)
        self._end()

    def take_traffic(self) -> None:
        """Give the bytes that were added up to the meter."""
        if self._room is not None:
            self._server.traffic.add(self._room.vehicle, self.role, received=self._received, sent=self._sent)
            self._received = self._sent = 0

    # ---- times and ends

    def handle_timer(self, now: float) -> float | None:
        """What the wheel calls."""
        if not self._admitted:
            self.close("its address had too many logins at once")
            return None
        if self._slow_since is not None and now >= self._slow_since + SLOW_READER:
            self._abort("a reader too slow")
            return None
        if not self._is_read:
            self._session.excuse_silence(now)
        self._session.handle_timer(now)
        for event in self._session.events():
            if isinstance(event, Failed):
                self._fail(event.error)
        self._flush()
        following = self._session.next_timer()
        if following is not None and self._slow_since is not None:
            return min(following, self._slow_since + SLOW_READER)
        return following

    def _arm(self) -> None:
        if (when := self._session.next_timer()) is not None:
            self._server.wheel.add(self, when)

    def _fail(self, error: ProtocolError) -> None:
        self._server.counters.closed[type(error).__name__] += 1
        self._log(str(error))
        self._end()

    def _end(self) -> None:
        if not self._transport.is_closing():
            self._flush()
        if self._websocket is not None and (farewell := self._websocket.close()):
            self._transport.write(farewell)
        self._transport.close()

    def _check_buffer(self) -> None:
        if self._transport.get_write_buffer_size() > HARD_BUFFER * self._server.settings.write_buffer:
            self._abort("a reader too slow")

    def _abort(self, reason: str) -> None:
        self._session.close()
        self._server.counters.closed["SlowReader"] += 1
        self._log(reason)
        self._transport.abort()

    def _leave_gate(self) -> None:
        if self._address is None:
            return
        if self._admitted:
            self._server.gate.leave(self._address)
        else:
            self._server.gate.give_up(self._address, self)
        self._address = None

    def _log(self, reason: str) -> None:
        vehicle = self._room.vehicle_id if self._room is not None else None
        structlog.get_logger("connection").info("closed", session=self.session_id, reason=reason, vehicle=vehicle)
