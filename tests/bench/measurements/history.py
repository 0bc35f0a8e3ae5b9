"""History records a second that are acknowledged after their commit, and bare inserts of as many and as long rows.

The server sets the pace: a car sends its next eight when it has the acknowledgements of the former. They are counted while the
clock runs and deciphered after it; every row is compared with what was sent, and whenever some cars have all that they wait for
one of these records is seen to be in the table already.
"""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Final

from bench.errors import BenchError
from bench.load.ears import Ears
from bench.load.rows import Records, Rows
from bench.load.sessions import LoggedIn, close, log_in, welcomes
from bench.measurement import Readings, Scene, Size

AT_ONCE: Final = 8
"""Records of a car that wait for their acknowledgements."""
BLOCKS: Final = 20
BATCH: Final = 1000
"""Rows of a bare insert, one commit each."""
TYPE: Final = "*-LOG-Bench"
LIFETIME: Final = 86_400

_DATA: Final = b"2026-11-20 08:15:%02d,47.226612,8.817605,408,88.2,75.5,398.5,-9.1,22.4,31,30,29,28,drive,%d"

# What any server would have to do, without a look at whether a record is there already.
_INSERT: Final = """
INSERT INTO history (vehicle, record_type, record_number, recorded_at, data, expires_at, ack_code)
SELECT vehicle, $2, record_number, now(), data, now() + interval '1 day', record_number::text
FROM unnest($1::bigint[], $3::bigint[], $4::bytea[]) AS new(vehicle, record_number, data)
"""


def measure_history(scene: Scene, size: Size) -> Readings:
    """From the first record sent to the last acknowledgement."""
    cars = [
        _Car(session, number * 100_000, size.record_rounds)
        for number, session in enumerate(log_in(scene.stack.v2_ports, welcomes(scene.accounts), stay=True))
    ]
    with closing(Rows(scene.stack.database_url)) as rows, closing(Ears(cars)) as ears:
        ears.hear_out(0.1)
        for car in cars:
            car.forget()
        began = time.perf_counter()
        _send(cars, size.record_rounds, ears, rows)
        seconds = time.perf_counter() - began
        close([car.session for car in cars])
        _compare(cars, rows.records([car.vehicle_id for car in cars], TYPE))
    return {"a second": sum(len(car.records) for car in cars) / seconds}


def measure_bare_inserts(scene: Scene, size: Size) -> Readings:
    """From the first insert to the last commit."""
    with closing(Rows(scene.stack.database_url)) as rows:
        vehicles = list(rows.vehicles([account.vehicle_id for account in scene.accounts]).values())
        batches = list(_batches(vehicles, size.record_rounds * AT_ONCE))
        began = time.perf_counter()
        for keys, numbers, data in batches:
            rows.execute(_INSERT, keys, TYPE, numbers, data)
        seconds = time.perf_counter() - began
    return {"a second": sum(len(numbers) for _, numbers, _ in batches) / seconds}


class _Car:
    """A car, its lines round by round, and what it has heard."""

    def __init__(self, session: LoggedIn, first: int, rounds: int) -> None:
        self.session = session
        self.connection: socket.socket = session.connection
        self.vehicle_id = session.account.vehicle_id
        self.records = {number: _data(number) for number in range(first, first + rounds * AT_ONCE)}
        self.heard = 0
        self._cipher = session.cipher()
        self._chunks = [session.rest]
        lines = [self._cipher.seal(_record(number, data)) for number, data in self.records.items()]
        self._rounds = [b"".join(lines[start : start + AT_ONCE]) for start in range(0, len(lines), AT_ONCE)]

    def receive(self) -> None:
        """Count the lines that have come."""
        chunk = self.connection.recv(65536)
        if not chunk:
            raise BenchError(f"{self.vehicle_id} was closed")
        self._chunks.append(chunk)
        self.heard += chunk.count(b"\n")

    def forget(self) -> None:
        """What it was told before it has sent anything is no acknowledgement."""
        self._messages()
        self.heard = 0

    def send(self, number: int) -> None:
        """Send a round."""
        self.connection.sendall(self._rounds[number])

    def acknowledged(self) -> list[int]:
        """The numbers of what was acknowledged, sorted."""
        return sorted(int(message[1:]) for message in self._messages() if message[:1] == b"h")

    def _messages(self) -> list[bytes]:
        *lines, rest = b"".join(self._chunks).split(b"\n")
        self._chunks = [rest]
        return [self._cipher.open(line) for line in lines]


def _data(number: int) -> bytes:
    return _DATA % (number % 60, number)


def _record(number: int, data: bytes) -> bytes:
    return b"h%d,0,%b,%d,%d,%b" % (number, TYPE.encode(), number, LIFETIME, data)


def _send(cars: Sequence[_Car], rounds: int, ears: Ears, rows: Rows) -> None:
    size = -(-len(cars) // BLOCKS)
    blocks = [cars[start : start + size] for start in range(0, len(cars), size)]
    for number in range(rounds):
        for block in blocks:
            _await_acknowledgements(block, number, ears, rows)
            for car in block:
                car.send(number)
            ears.hear()
    for block in blocks:
        _await_acknowledgements(block, rounds, ears, rows)


def _await_acknowledgements(block: Sequence[_Car], rounds: int, ears: Ears, rows: Rows) -> None:
    wanted = rounds * AT_ONCE
    for car in block:
        ears.hear_until(lambda car=car: car.heard >= wanted)  # type: ignore[misc]
    last = block[-1]
    if wanted and not rows.has_record(last.vehicle_id, TYPE, list(last.records)[wanted - 1]):
        raise BenchError(f"a record of {last.vehicle_id} was acknowledged before it was committed")


def _compare(cars: Sequence[_Car], stored: Records) -> None:
    for car in cars:
        if car.acknowledged() != list(car.records):
            raise BenchError(f"not each record of {car.vehicle_id} was acknowledged once")
    if stored != {car.vehicle_id: car.records for car in cars}:
        raise BenchError("the rows in PostgreSQL are not what the cars sent")


Batch = tuple[Sequence[int], Sequence[int], Sequence[bytes]]


def _batches(vehicles: Sequence[int], records: int) -> Iterator[Batch]:
    """As many rows as the cars send, a record of each car and then the next."""
    every = [(vehicle, index * 100_000 + number) for number in range(records) for index, vehicle in enumerate(vehicles)]
    for start in range(0, len(every), BATCH):
        keys, numbers = zip(*every[start : start + BATCH], strict=True)
        yield keys, numbers, [_data(number) for number in numbers]
