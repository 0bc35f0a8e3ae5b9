"""`python -m simulator`: a demo car until SIGTERM or SIGINT.

OVMS_DEMO_HOST (127.0.0.1), OVMS_V2_PORT (6867), OVMS_DEMO_VEHICLE (DEMO) and OVMS_DEMO_PASSWORD (required) say where it logs
in, and as what; OVMS_DEMO_SEED (1) seeds its journey.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping

from simulator.car import Account, Car, Pauses
from simulator.controls import Controls
from simulator.journey import Journey
from simulator.module import Module
from simulator.route import LAKE_ZURICH, Route


def read_account(environment: Mapping[str, str]) -> tuple[Account, int]:
    """Where the car logs in, and its seed.

    Raises:
        ValueError: the port or the seed is not a number, or there is no password.
    """
    if not (password := environment.get("OVMS_DEMO_PASSWORD")):
        raise ValueError("OVMS_DEMO_PASSWORD is not set: set it to the password of the vehicle")
    account = Account(
        environment.get("OVMS_DEMO_HOST") or "127.0.0.1",
        _number(environment, "OVMS_V2_PORT", 6867),
        environment.get("OVMS_DEMO_VEHICLE") or "DEMO",
        password,
    )
    return account, _number(environment, "OVMS_DEMO_SEED", 1)


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    try:
        return int(environment.get(name) or default)
    except ValueError:
        raise ValueError(f"{name}={environment[name]}: not a number") from None


async def drive(account: Account, seed: int) -> None:
    """Live until a signal comes."""
    loop = asyncio.get_running_loop()
    journey = Journey(Route(LAKE_ZURICH), seed, loop.time())
    car = Car(account, Module(journey, Controls()), Pauses(), loop.time, lambda line: print(line, flush=True))
    driving = asyncio.create_task(car.run())
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, driving.cancel)
    await asyncio.wait([driving])
    if not driving.cancelled():
        driving.result()


def main() -> int:
    """Exit status 0 after a signal, 2 where a variable is wrong."""
    try:
        account, seed = read_account(os.environ)
    except ValueError as error:
        print(f"demo car: {error}", file=sys.stderr)
        return 2
    asyncio.run(drive(account, seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
