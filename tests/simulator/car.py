"""The car's socket: logs in, sends what the module wants sent, and comes back after a loss."""

import asyncio
import secrets
from binascii import b2a_base64
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from ovms.identity import Role
from ovms.protocol import ClientSession, Failed, Welcomed
from simulator.module import TICK, Module

LOGIN_TIMEOUT: Final = 60.0


class LoginError(Exception):
    """The server closed or stayed silent before its answer to the login, or its answer was wrong."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where the car logs in, and as what."""

    host: str
    port: int
    vehicle_id: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds to wait before the next connection.

    Firmware waits 10 after a loss and 60 where it was refused: more than who watches a demonstration has patience for.
    """

    after_loss: float = 2.0
    after_refusal: float = 5.0


class Car:
    """One car.

    Args:
        account: where it logs in.
        module: what it says.
        pauses: before it comes back.
        clock: the module's time.
        tell: takes a line for whoever watches the program.
    """

    def __init__(
        self, account: Account, module: Module, pauses: Pauses, clock: Callable[[], float], tell: Callable[[str], None]
    ) -> None:
        self._account = account
        self._module = module
        self._pauses = pauses
        self._clock = clock
        self._tell = tell

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            try:
                await self._connect()
                pause, why = self._pauses.after_loss, "the connection is lost"
            except LoginError:
                pause, why = self._pauses.after_refusal, "the server did not let it in"
            except ConnectionResetError:
                pause, why = self._pauses.after_loss, "the connection is lost"
            except OSError as error:
                pause, why = self._pauses.after_refusal, str(error.strerror or error)
            self._tell(f"{self._account.vehicle_id}: {why}; it comes back in {pause:g} s")
            await asyncio.sleep(pause)
            self._module.rest(self._clock())

    async def _connect(self) -> None:
        """One connection from its beginning to its end."""
        account = self._account
        token = b2a_base64(secrets.token_bytes(16))[:22]
        session = ClientSession(Role.CAR, account.vehicle_id, account.password.encode(), token)
        reader, writer = await asyncio.open_connection(account.host, account.port)
        try:
            writer.write(session.data_to_send())
            early = await self._log_in(session, reader)
            self._tell(f"{account.vehicle_id}: logged in at {account.host} port {account.port}")
            self._send(session, writer, self._module.logged_in(self._clock()))
            self._answer(session, writer, early)
            await self._talk(session, reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _log_in(self, session: ClientSession, reader: asyncio.StreamReader) -> list[Welcomed | Failed | bytes]:
        """Wait for the answer; returns what came after it.

        Raises:
            LoginError: there is none, or a wrong one.
        """
        try:
            async with asyncio.timeout(LOGIN_TIMEOUT):
                while not (events := session.events()):
                    if not (data := await reader.read(4096)):
                        raise LoginError
                    session.receive_data(data)
        except (TimeoutError, ConnectionResetError):
            raise LoginError from None
        if not isinstance(events[0], Welcomed):
            raise LoginError
        return events[1:]

    async def _talk(self, session: ClientSession, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        ticks_at = loop.time() + TICK
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(ticks_at):
                    if not (data := await reader.read(4096)):
                        return
                    session.receive_data(data)
                    self._answer(session, writer, session.events())
                    await writer.drain()
            if loop.time() >= ticks_at:
                ticks_at = loop.time() + TICK
                self._send(session, writer, self._module.tick(self._clock()))

    def _answer(self, session: ClientSession, writer: asyncio.StreamWriter, events: list[Welcomed | Failed | bytes]) -> None:
        for event in events:
            if isinstance(event, bytes):
                self._send(session, writer, self._module.receive(event, self._clock()))
            elif isinstance(event, Failed):
                raise ConnectionResetError(str(event.error))

    def _send(self, session: ClientSession, writer: asyncio.StreamWriter, messages: list[bytes]) -> None:
        for message in messages:
            session.send(message)
        if data := session.data_to_send():
            writer.write(data)
