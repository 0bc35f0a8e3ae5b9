"""A service whose Valkey a test may stop."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from car_protocol.settings import Settings
from fixtures.cars import CarService, add_vehicles, car_service_on
from ovms.db.engine import Pool
from ovms.local.valkey import Valkey


@pytest.fixture
async def lonely_service(
    car_settings: dict[str, Any], pool: Pool, secret_keys: str, tmp_path: Path
) -> AsyncIterator[tuple[CarService, Valkey]]:
    """A service with a Valkey of its own."""
    await add_vehicles(pool, secret_keys, "DEMO", "Other-1")
    valkey = Valkey(tmp_path / "valkey")
    valkey.start()
    try:
        async with car_service_on(Settings(**car_settings | {"redis_url": valkey.url}), pool) as service:
            yield service, valkey
    finally:
        valkey.stop()
