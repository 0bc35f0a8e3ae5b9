"""Logins a second of cars that have never been here."""

import time

from bench.load.sessions import log_in, welcomes
from bench.measurement import Readings, Scene, Size


def measure_logins(scene: Scene, size: Size) -> Readings:
    """From the first connection to the last answer; that each proves the car's password is looked at afterwards."""
    prepared = welcomes(scene.accounts)
    began = time.perf_counter()
    done = log_in(scene.stack.v2_ports, prepared, stay=False)
    seconds = time.perf_counter() - began
    for car in done:
        car.cipher()
    return {"a second": len(done) / seconds}
