"""Protocol v2 over TLS, by the process as it is run."""

import asyncio
import contextlib
import signal
import ssl
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fixtures.cars import DEADLINE, Peer, add_vehicles
from fixtures.certificates import Pair, another_pair, curious, environment_without_ours, old, pair
from ovms.db.engine import Pool
from ovms.db.passwords import hash_password
from ovms.identity import Role
from ovms.local.ports import free_port

__all__ = ["another_pair", "pair"]

PROGRAM = (sys.executable, "-m", "car_protocol")


@dataclass
class TlsService:
    """`python -m car_protocol` with a certificate, and the peers that a test has made."""

    process: Process
    pair: Pair
    port: int
    tls_port: int
    peers: list[Peer] = field(default_factory=list)

    async def connect(self, role: Role, context: ssl.SSLContext | None = None) -> Peer:
        """A peer that has been let in, over TLS."""
        peer = Peer(role, "DEMO")
        self.peers.append(peer)
        await asyncio.get_running_loop().create_connection(
            lambda: peer, "127.0.0.1", self.tls_port, ssl=context or self.pair.trusted()
        )
        peer.introduce()
        await peer.welcomed()
        return peer

    async def shown(self) -> bytes:
        """The certificate that a new session is shown."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.tls_port, ssl=curious())
        certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await reader.read()
        return certificate

    async def says(self, line: bytes, *, tls: bool) -> bytes:
        """The answer to one line, up to its end or that of the connection."""
        where = {"port": self.tls_port, "ssl": self.pair.trusted()} if tls else {"port": self.port}
        reader, writer = await asyncio.open_connection("127.0.0.1", **where)
        writer.write(line)
        async with asyncio.timeout(DEADLINE):
            answer = await reader.readline()
        writer.close()
        return answer


@pytest.fixture
async def service(database_url: str, redis_url: str, secret_keys: str, pool: Pool, pair: Pair) -> AsyncIterator[TlsService]:
    """A service that lets users log in over TLS alone, with vehicle DEMO of owner anna."""
    await add_vehicles(pool, secret_keys, "DEMO")
    await pool.execute("UPDATE owners SET name = 'anna', password_hash = $1", await asyncio.to_thread(hash_password, "secret"))
    port, tls_port, health_port = free_port(), free_port(), free_port()
    environment = {
        **environment_without_ours(),
        **pair.environment,
        "OVMS_DATABASE_URL": database_url,
        "OVMS_REDIS_URL": redis_url,
        "OVMS_SECRET_KEYS": secret_keys,
        "OVMS_V2_PORT": str(port),
        "OVMS_V2_TLS_PORT": str(tls_port),
        "OVMS_HEALTH_PORT": str(health_port),
        "OVMS_USER_LOGIN_IN_CLEAR": "false",
    }
    process = await asyncio.create_subprocess_exec(*PROGRAM, env=environment, stdout=DEVNULL)
    try:
        await listens(process, tls_port)
        running = TlsService(process, pair, port, tls_port)
        yield running
        for peer in running.peers:
            peer.close()
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def listens(process: Process, port: int) -> None:
    """Wait until a process listens; the last port that it opens says that all are open."""
    async with asyncio.timeout(30):
        while True:
            assert process.returncode is None, "the service has ended"
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


async def test_a_car_and_an_app_meet_over_tls(service: TlsService) -> None:
    car, app = await service.connect(Role.CAR), await service.connect(Role.APP)
    await app.until_hears(b"T3020399")
    car.send(b"S75,K")
    await app.hears(b"S75,K", b"T0")


@pytest.mark.parametrize("tls_version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_versions_that_are_spoken(service: TlsService, tls_version: ssl.TLSVersion) -> None:
    context = service.pair.trusted()
    context.minimum_version = context.maximum_version = tls_version
    car = await service.connect(Role.CAR, context)
    assert car.transport.get_extra_info("cipher")[1] == tls_version.name.replace("TLSv1_", "TLSv1.")


async def test_tls_1_1_is_refused(service: TlsService) -> None:
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        await asyncio.open_connection("127.0.0.1", service.tls_port, ssl=old())
    assert await service.shown() == service.pair.der


async def test_a_certificate_is_changed_by_a_signal_and_nobody_is_dropped(service: TlsService, another_pair: Pair) -> None:
    car, app = await service.connect(Role.CAR), await service.connect(Role.APP)
    before = await service.shown()
    service.pair.become(another_pair)

    service.process.send_signal(signal.SIGHUP)

    await changes_to(service, another_pair.der, from_=before)
    await car.drain()
    await app.until_hears(b"T3020399")
    car.send(b"S75,K")
    await app.hears(b"S75,K", b"T0")
    assert [car.is_closed, app.is_closed] == [False, False]


async def test_a_certificate_is_changed_when_its_files_are(service: TlsService, another_pair: Pair) -> None:
    car = await service.connect(Role.CAR)
    before = await service.shown()
    service.pair.become(another_pair)
    await changes_to(service, another_pair.der, from_=before)
    await car.drain()


async def test_a_certificate_that_cannot_be_used_changes_nothing(service: TlsService) -> None:
    car = await service.connect(Role.CAR)
    before = await service.shown()
    service.pair.key.unlink()

    service.process.send_signal(signal.SIGHUP)

    await car.drain()
    assert await service.shown() == before


async def changes_to(service: TlsService, expected: bytes, *, from_: bytes) -> None:
    async with asyncio.timeout(DEADLINE):
        while (shown := await service.shown()) == from_:
            pass
    assert shown == expected


async def test_users_may_log_in_with_tls_where_they_may_not_without(service: TlsService) -> None:
    assert await service.says(b"MP-A 1 anna secret *\r\n", tls=True) == b"MP-S 1 anna DEMO DEMO\r\n"
    assert await service.says(b"MP-A 1 anna secret *\r\n", tls=False) == b""
    assert await service.says(b"MP-A 1 anna wrong *\r\n", tls=True) == b""


# ---- what keeps it from starting


async def ends(environment: dict[str, str], directory: Path) -> tuple[int | None, str]:
    """Exit status and output of a service that cannot start; neither store is there."""
    stores = {
        "OVMS_DATABASE_URL": f"postgresql://u:hush@/d?host={directory}",
        "OVMS_REDIS_URL": f"unix://{directory}/none.sock",
        "OVMS_SECRET_KEYS": "k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        # Fewer than any limit of open files: no warning precedes the line.
        "OVMS_CONNECTIONS": "100",
    }
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, env={**environment_without_ours(), **stores, **environment}, stdout=PIPE, stderr=STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, output.decode()


async def test_a_key_that_does_not_fit_is_one_line(pair: Pair, another_pair: Pair, tmp_path: Path) -> None:
    status, output = await ends({**pair.environment, "OVMS_TLS_KEY": str(another_pair.key)}, tmp_path)
    reason = f"OVMS_TLS_KEY={another_pair.key}: not the key of the first certificate in {pair.certificate}"
    assert (status, output) == (1, f"car-protocol cannot start: {reason}\n")


async def test_a_file_that_is_not_there_is_one_line(pair: Pair, tmp_path: Path) -> None:
    status, output = await ends({**pair.environment, "OVMS_TLS_CERTIFICATE": f"{tmp_path}/none.pem"}, tmp_path)
    reason = f"OVMS_TLS_CERTIFICATE={tmp_path}/none.pem: No such file or directory"
    assert (status, output) == (1, f"car-protocol cannot start: {reason}\n")


async def test_a_certificate_without_a_key_is_one_line(pair: Pair, tmp_path: Path) -> None:
    status, output = await ends({"OVMS_TLS_CERTIFICATE": str(pair.certificate)}, tmp_path)
    expected = "car-protocol cannot start: OVMS_TLS_CERTIFICATE is given without OVMS_TLS_KEY\n"
    assert (status, output) == (1, expected)
