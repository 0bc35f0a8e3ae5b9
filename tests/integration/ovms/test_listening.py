"""Listening sockets: ports that several processes share, and an end that keeps nobody out."""

import asyncio
import contextlib
import ctypes
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from fixtures.waiting import until
from ovms.listening import HeldPort, ignore_new_connections, let_in_who_waits
from ovms.local.ports import free_port

HOST = "127.0.0.1"
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes such filters and tells of handshakes")


@contextlib.contextmanager
def listening(port: int, *, is_shared: bool, host: str = HOST) -> Iterator[socket.socket]:
    """A socket as the services open theirs."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind((host, port))
        server.listen()
        yield server


# ---- ports that are shared


def test_a_held_port_is_for_our_workers_and_for_nobody_else() -> None:
    with HeldPort(HOST, 0) as held:
        assert held.number
        with pytest.raises(OSError, match=f"cannot listen on {HOST} port {held.number}: Address already in use"):
            HeldPort(HOST, held.number)
        ours = listening(held.number, is_shared=True), listening(held.number, is_shared=True)
        with ours[0], ours[1], pytest.raises(OSError, match="Address already in use"):
            HeldPort(HOST, held.number)
        with pytest.raises(OSError, match="Address already in use"), listening(held.number, is_shared=False):
            pass


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_port_on_which_somebody_listens_is_not_held(is_shared: bool) -> None:
    with listening(0, is_shared=is_shared) as other, pytest.raises(OSError, match="Address already in use"):
        HeldPort(HOST, other.getsockname()[1])


@pytest.mark.parametrize("is_shared", [False, True])
def test_connections_of_an_earlier_run_hold_up_nobody(is_shared: bool) -> None:
    with listening(0, is_shared=is_shared) as server:
        port = server.getsockname()[1]
        with socket.create_connection((HOST, port)):
            server.accept()[0].close()  # it closes first: TIME_WAIT is ours
    with HeldPort(HOST, port), listening(port, is_shared=True):
        pass


def test_every_address_of_a_name_is_held() -> None:
    port = free_port()
    with HeldPort("", port):
        for host in (HOST, "127.0.0.2"):
            with pytest.raises(OSError, match="Address already in use"), listening(port, is_shared=False, host=host):
                pass


# ---- the end


class Greeter(asyncio.Protocol):
    """Greets whoever was accepted."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(b"hello")  # type: ignore[attr-defined]


@pytest.fixture
async def server() -> AsyncIterator[asyncio.Server]:
    server = await asyncio.get_running_loop().create_server(Greeter, HOST, 0)
    yield server
    server.close()


async def end(server: asyncio.Server, within: float = 5.0) -> float:
    """End it as the services do; how long that took."""
    began = time.monotonic()
    await let_in_who_waits(server.sockets, within)
    server.close()
    return time.monotonic() - began


async def test_whoever_has_connected_is_accepted_before_the_port_is_closed(server: asyncio.Server) -> None:
    port = server.sockets[0].getsockname()[1]
    # Connecting does not need the loop: the kernel does it.
    clients = [socket.create_connection((HOST, port)) for _ in range(50)]
    await end(server)
    for client in clients:
        client.setblocking(False)
        assert await asyncio.get_running_loop().sock_recv(client, 100) == b"hello"
        client.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port))


async def test_nobody_is_waited_for_where_nobody_comes(server: asyncio.Server) -> None:
    assert await end(server) < 1.0


class Client:
    """Connects, to the end or not."""

    def __init__(self, port: int, *, is_deaf: bool = False) -> None:
        self._socket = socket.socket()
        self._socket.setblocking(False)
        if is_deaf:
            # It does not hear the server's SYN-ACK, as if that were on its way for long.
            nothing = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, 0))
            program = struct.pack("@HP", 1, ctypes.addressof(nothing))
            self._socket.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        self._loop = asyncio.get_running_loop()
        self.connecting = asyncio.create_task(self._loop.sock_connect(self._socket, (HOST, port)))

    def listen(self) -> None:
        """Be deaf no more: the kernel sends SYN-ACK again after a second."""
        self._socket.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)

    async def hears(self) -> bytes:
        await self.connecting
        return await self._loop.sock_recv(self._socket, 100)

    async def close(self) -> None:
        self.connecting.cancel()
        await asyncio.gather(self.connecting, return_exceptions=True)
        self._socket.close()


def is_answered(port: int) -> bool:
    """Whether a connection to it is half open."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return any(fields[1].endswith(f":{port:04X}") and fields[3] == "03" for fields in lines)


@linux_only
async def test_a_handshake_under_way_is_waited_for_and_no_new_one_is_begun(server: asyncio.Server) -> None:
    port = server.sockets[0].getsockname()[1]
    client = Client(port, is_deaf=True)
    await until(lambda: is_answered(port))
    ending = asyncio.create_task(end(server))
    late = Client(port)
    client.listen()

    assert await client.hears() == b"hello"
    await ending
    with pytest.raises(ConnectionRefusedError):  # it asks again after a second
        await late.connecting
    await client.close()
    await late.close()


@linux_only
async def test_a_handshake_that_does_not_end_is_waited_for_as_long_as_that(server: asyncio.Server) -> None:
    port = server.sockets[0].getsockname()[1]
    client = Client(port, is_deaf=True)
    await until(lambda: is_answered(port))
    assert 0.3 <= await end(server, within=0.3) < 3.0
    await client.close()


# ---- networks that may not connect


async def connects(address: str, server: asyncio.Server) -> bool:
    """Whether a client of this address connects within a moment."""
    host, port = server.sockets[0].getsockname()[:2]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            _, writer = await asyncio.open_connection(host, port, local_addr=(address, 0))
            writer.close()
            return True
    return False


async def test_attempts_to_connect_from_some_networks_are_not_answered(server: asyncio.Server) -> None:
    [listening] = server.sockets
    ignore_new_connections(listening, {"127.0.1.0/24", "127.0.3.0/24", "2001:db8::/64"})
    assert [await connects(f"127.0.{number}.77", server) for number in range(1, 5)] == [False, True, False, True]
    ignore_new_connections(listening, set())
    assert await connects("127.0.1.77", server)


async def test_attempts_over_ipv6_are_not_answered_either() -> None:
    try:
        server = await asyncio.get_running_loop().create_server(Greeter, "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    [listening] = server.sockets
    ignore_new_connections(listening, {"0:0:0:1::/64", "127.0.0.0/24"})
    assert await connects("::1", server)
    ignore_new_connections(listening, {"0:0:0:1::/64", "::/64"})
    assert not await connects("::1", server)
    server.close()


async def test_who_is_connected_is_served_on(server: asyncio.Server) -> None:
    [listening] = server.sockets
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    ignore_new_connections(listening, {"127.0.0.0/24"})
    assert await reader.read(100) == b"hello"
    writer.close()
