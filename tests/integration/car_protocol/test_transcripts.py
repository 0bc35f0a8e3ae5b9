"""The transcripts of tests/vectors over real TCP: the client's lines as openssl made them, the server's the same bytes.

The only part that is not the service's own is the token that it draws, which is the transcript's.
"""

import pytest

from car_protocol.logins import desk
from fixtures.cars import DEADLINE, CarService, Peer
from fixtures.waiting import until
from ovms.db.engine import Pool
from ovms.db.sealing import Sealer
from ovms.identity import Role
from unit.ovms.protocol.transcripts import PROVISIONING, Side, Transcript, transcript


class Player(Peer):
    """Sends a transcript's lines, and keeps what it is sent."""

    def __init__(self, played: Side) -> None:
        super().__init__(Role.CAR, "DEMO")
        self._lines = iter(played.lines)
        self.wire = b""

    def data_received(self, data: bytes) -> None:
        self.wire += data
        self._changed.set()

    def say(self, count: int = 1) -> None:
        """The next lines, in one piece."""
        self.transport.write(b"".join(next(self._lines) + b"\r\n" for _ in range(count)))

    async def has_been_sent(self, side: Side, count: int) -> None:
        """Wait for the first lines of the other side."""
        expected = b"".join(line + b"\r\n" for line in side.lines[:count])
        await self._until(lambda: len(self.wire) >= len(expected))
        assert self.wire == expected


async def play(service: CarService, played: Transcript) -> Player:
    player = Player(played.car)
    service.peers.append(player)
    await player.connect(service.port, introduce=False)
    return player


async def add_vehicle(pool: Pool, secret_keys: str, vehicle_id: str, secret: bytes) -> int:
    key_id, sealed = Sealer.from_setting(secret_keys).seal(secret, context=vehicle_id.upper())
    added = """
        INSERT INTO vehicles (owner_id, vehicle_id, password, password_key_id)
        SELECT id, $1, $2, $3 FROM owners RETURNING id
    """
    return int(await pool.fetchval(added, vehicle_id, sealed, key_id))


def draw(monkeypatch: pytest.MonkeyPatch, token: bytes) -> None:
    """The next tokens that the service draws."""
    monkeypatch.setattr(desk.ServerTokens, "new", lambda _: token)


async def test_a_car_logs_in_and_sends_one_message(car_service: CarService, monkeypatch: pytest.MonkeyPatch) -> None:
    played = transcript("car_login_0x30.txt")
    draw(monkeypatch, played.server_token)
    player = await play(car_service, played)
    player.say(2)
    await until(lambda: b"\r\n" in player.wire.partition(b"\r\n")[2], DEADLINE)
    assert player.wire.startswith(played.srv.stream)
    await car_service.written()
    assert await car_service.states() == {"L": played.car.messages[0][1:]}


async def test_a_car_of_many_lines_in_both_directions(
    car_service: CarService, pool: Pool, secret_keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = transcript("car_session_0x30.txt")
    await add_vehicle(pool, secret_keys, "Demo-1", played.secret)
    draw(monkeypatch, played.server_token)
    player = await play(car_service, played)
    player.say()
    await player.has_been_sent(played.srv, 2)
    player.say(2)
    app = await login_app(car_service, played.secret)
    await player.has_been_sent(played.srv, 3)
    player.say(3)
    await player.has_been_sent(played.srv, 4)
    app.send(played.srv.messages[3])
    await player.has_been_sent(played.srv, 5)
    player.say()
    await app.until_hears(b"c20,0")
    server = car_service.running.server
    (room,) = server.hub
    assert room.car is not None
    room.car.send(b"A", server.loop.time())
    await player.has_been_sent(played.srv, 6)
    player.say(2)
    await app.until_hears(played.car.messages[-1])
    await car_service.written()
    states = {message[:1].decode(): message[1:] for message in played.car.messages if message[:1] in b"SDLF"}
    assert await car_service.states("Demo-1") == states
    assert ("*-LOG-Trip", 5, b"first,record") in await car_service.history("Demo-1")
    assert player.wire == played.srv.stream


async def login_app(service: CarService, secret: bytes) -> Peer:
    app = await service.connect(Role.APP, "demo-1", secret)
    await app.welcomed()
    return app


async def test_an_app_and_what_greets_it(
    car_service: CarService, pool: Pool, secret_keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = transcript("app_login_0x30.txt")
    vehicle = await add_vehicle(pool, secret_keys, "Demo-1", played.secret)
    car = await car_service.connect(Role.CAR, "Demo-1", played.secret)
    await car.welcomed()
    for message in played.srv.messages[1:3]:
        await pool.execute(
            "INSERT INTO messages (vehicle, code, data, received_at, epoch) VALUES ($1, $2, $3, to_timestamp(1700000000), 1)",
            vehicle,
            message[:1].decode(),
            message[1:],
        )
    monkeypatch.setattr(car_service.running.server.recorder, "wall", lambda now: 1_700_000_004.5)
    draw(monkeypatch, played.server_token)
    player = await play(car_service, played)
    player.say()
    await player.has_been_sent(played.srv, 5)
    player.say()
    await player.has_been_sent(played.srv, 6)
    player.say()
    await car.until_hears(played.car.messages[-1])
    car.send(played.srv.messages[5])
    await player.has_been_sent(played.srv, 8)
    assert player.wire == played.srv.stream


async def test_a_module_without_a_configuration(
    car_service: CarService, pool: Pool, secret_keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = transcript(PROVISIONING)
    sealer, key = Sealer.from_setting(secret_keys), "VIN00000000000001"
    secret_key_id, secret = sealer.seal(played.secret, context=key)
    record_key_id, record = sealer.seal(b"NETPASS DEMO", context=key)
    await pool.execute(
        "INSERT INTO autoprovision (key, owner_id, secret, secret_key_id, record, record_key_id) "
        "SELECT $1, id, $2, $3, $4, $5 FROM owners",
        *(key, secret, secret_key_id, record, record_key_id),
    )
    draw(monkeypatch, played.server_token)
    player = await play(car_service, played)
    player.say()
    await player.has_been_sent(played.srv, 1)
    assert player.wire == played.srv.stream


async def test_a_module_whose_configuration_was_brought_from_a_reference_server(car_service: CarService, pool: Pool) -> None:
    played = transcript(PROVISIONING)
    token, digest, record = played.srv.stream.decode().split()[2:]
    await pool.execute(
        "INSERT INTO enciphered_configurations (key, token, digest, record) VALUES ('VIN00000000000001', $1, $2, $3)",
        *(token, digest, record),
    )
    player = await play(car_service, played)
    player.say()
    await player.has_been_sent(played.srv, 1)
    assert player.wire == played.srv.stream
