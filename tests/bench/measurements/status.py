"""Calls of /api/status/{id} a second: callers who each ask for a car of their own, which has sent everything that cars send."""

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Final

from bench.errors import BenchError
from bench.load.callers import Answers, ask, credential, request, sign_in
from bench.load.fleet import Account
from bench.load.lines import by_code, rounds_of
from bench.load.rows import Rows
from bench.load.sessions import close, log_in, welcomes
from bench.measurement import Readings, Scene, Size
from bench.stack import Stack

CALLERS: Final = 24


def callers(size: Size) -> int:
    """How many cars are asked for."""
    return CALLERS


def measure_with_cookie(scene: Scene, size: Size) -> Readings:
    """The session is known by its cookie."""
    port = scene.stack.http_port
    requests = [request(port, f"/api/status/{car.vehicle_id}", sign_in(port, car)) for car in scene.accounts]
    return _measure(scene, requests, size.request_seconds)


def measure_with_password(scene: Scene, size: Size) -> Readings:
    """User and password stand in the URL."""
    port = scene.stack.http_port
    requests = [request(port, f"/api/status/{car.vehicle_id}?{credential(car)}") for car in scene.accounts]
    return _measure(scene, requests, size.request_seconds)


def _measure(scene: Scene, requests: Sequence[bytes], seconds: float) -> Readings:
    _send_everything(scene.stack, scene.accounts)
    answers = ask(scene.stack.http_port, requests, seconds)
    _check(answers)
    return {"a second": answers.a_second, "bytes of an answer": max(map(len, answers.bodies))}


def _check(answers: Answers) -> None:
    for body in answers.bodies:
        if float(json.loads(body)["soc"]) != 75.5:
            raise BenchError(f"an answer is not what its car has sent: {body[:80]!r}")


def _send_everything(stack: Stack, accounts: Sequence[Account]) -> None:
    cars = log_in(stack.v2_ports, welcomes(accounts), stay=True)
    for car in cars:
        seal = car.cipher().seal
        car.connection.sendall(b"".join(seal(message) for message in rounds_of(0, 1)[0]))
    with closing(Rows(stack.database_url)) as rows:
        rows.become({account.vehicle_id: by_code(rounds_of(0, 1)[0]) for account in accounts})
    close(cars)
