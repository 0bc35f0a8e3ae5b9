"""The car's socket, against a server made of the library's own session."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from ovms.protocol import Login, ServerSession, Timeouts
from simulator.__main__ import read_account
from simulator.car import Account, Car, Pauses
from simulator.controls import Controls
from simulator.journey import Journey
from simulator.module import Module
from simulator.route import LAKE_ZURICH, Route

TOKEN = b"0123456789abcdefghijkl"


class Server:
    """Lets cars in, or closes; keeps what they say."""

    def __init__(self, *, lets_in: bool = True) -> None:
        self.lets_in = lets_in
        self.heard: list[bytes] = []
        self.logins = 0
        self._changed = asyncio.Condition()
        self._writers: list[tuple[asyncio.StreamWriter, ServerSession]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = ServerSession(0.0, Timeouts())
        while data := await reader.read(4096):
            session.receive_data(data, 0.0)
            for event in session.events():
                if isinstance(event, Login):
                    self.logins += 1
                    if not self.lets_in:
                        break
                    session.accept(b"DEMO", TOKEN, 0.0)
                    writer.write(session.data_to_send())
                    self._writers.append((writer, session))
                elif isinstance(event, bytes):
                    self.heard.append(event)
            async with self._changed:
                self._changed.notify_all()
            if not self.lets_in:
                break
        writer.close()

    def say(self, message: bytes) -> None:
        writer, session = self._writers[-1]
        session.send(message, 0.0)
        writer.write(session.data_to_send())

    def hang_up(self) -> None:
        self._writers[-1][0].close()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(condition)


@asynccontextmanager
async def listening(server: Server) -> AsyncIterator[int]:
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


@asynccontextmanager
async def driving(port: int, told: list[str]) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    module = Module(Journey(Route(LAKE_ZURICH), 1, loop.time()), Controls())
    account = Account("127.0.0.1", port, "DEMO", "DEMO")
    task = asyncio.create_task(Car(account, module, Pauses(0.0, 0.0), loop.time, told.append).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_it_logs_in_tells_everything_and_answers() -> None:
    server, told = Server(), list[str]()
    async with listening(server) as port, driving(port, told):
        await server.until(lambda: len(server.heard) >= 8)
        assert b"".join(message[:1] for message in server.heard) == b"FVSDLYWX"

        server.say(b"A")
        server.say(b"C7,hello")
        await server.until(lambda: any(message.startswith(b"c7") for message in server.heard))

        assert b"a" in server.heard
        assert told == [f"DEMO: logged in at 127.0.0.1 port {port}"]


async def test_it_comes_back_after_a_loss() -> None:
    server, told = Server(), list[str]()
    async with listening(server) as port, driving(port, told):
        await server.until(lambda: len(server.heard) >= 8)
        server.hang_up()
        await server.until(lambda: len(server.heard) >= 16)

        assert told[1] == "DEMO: the connection is lost; it comes back in 0 s"


async def test_it_comes_back_after_a_refusal() -> None:
    server, told = Server(lets_in=False), list[str]()
    async with listening(server) as port, driving(port, told):
        await server.until(lambda: server.logins >= 2)
        server.lets_in = True
        await server.until(lambda: len(server.heard) >= 8)

        assert "did not let it in" in told[0]


async def test_the_program_ends_with_status_0_on_sigterm() -> None:
    server = Server()
    async with listening(server) as port:
        environment = os.environ | {
            "OVMS_V2_PORT": str(port),
            "OVMS_DEMO_PASSWORD": "DEMO",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "simulator", env=environment, stdout=asyncio.subprocess.PIPE
        )
        await server.until(lambda: len(server.heard) >= 8)
        process.send_signal(signal.SIGTERM)
        said, _ = await process.communicate()

        assert process.returncode == 0
        assert said.decode() == f"DEMO: logged in at 127.0.0.1 port {port}\n"


def test_variables() -> None:
    assert read_account({"OVMS_DEMO_PASSWORD": "P"}) == (Account("127.0.0.1", 6867, "DEMO", "P"), 1)
    assert read_account(
        {
            "OVMS_DEMO_HOST": "h",
            "OVMS_V2_PORT": "1",
            "OVMS_DEMO_VEHICLE": "V",
            "OVMS_DEMO_PASSWORD": "P",
            "OVMS_DEMO_SEED": "2",
        }
    ) == (Account("h", 1, "V", "P"), 2)
    with pytest.raises(ValueError, match="OVMS_V2_PORT=x: not a number"):
        read_account({"OVMS_DEMO_PASSWORD": "P", "OVMS_V2_PORT": "x"})
    with pytest.raises(ValueError, match="OVMS_DEMO_PASSWORD is not set"):
        read_account({})
