"""The memory of a gateway: long answers are sent from pages, however large the history is and however slow its readers are."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from fixtures.gateway import Gateway, token_header
from integration.api_gateway.test_process import listening, started

RECORDS = 40
SIZE = 1_900_000
CREDENTIALS = 4
ALLOWED = 2 * CREDENTIALS * RECORDS * SIZE // 4
"""Bytes for all answers together, a quarter of what they contain.

Each holds a page and its copies in other forms, about 40 to 90 MB together.
"""

FILL = """
INSERT INTO history (vehicle, record_type, record_number, recorded_at, data, expires_at)
SELECT id, '*-B', n, '2026-06-01', convert_to(repeat('x', $1), 'UTF8'), now() + interval '1 day'
FROM vehicles, generate_series(1, $2) AS n WHERE vehicle_id = 'DEMO'
"""


def resident(process: int) -> int:
    """Return the resident memory of a process in bytes."""
    [line] = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


async def test_long_answers_to_slow_readers_hold_some_pages(
    gateway: Gateway, database_url: str, redis_url: str, secret_keys: str
) -> None:
    await gateway.pool.execute(FILL, SIZE, RECORDS)
    headers = [await token_header(gateway, "*") for _ in range(CREDENTIALS)]
    environment = {
        "OVMS_DATABASE_URL": database_url,
        "OVMS_REDIS_URL": redis_url,
        "OVMS_SECRET_KEYS": secret_keys,
        "OVMS_HTTP_PORT": "0",
    }
    async with started(environment) as process, AsyncExitStack() as held:
        url = f"http://127.0.0.1:{await listening(process)}"
        client = await held.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60))
        assert (await client.get("/api/v1/account", headers=headers[0])).status_code == 200
        before = resident(process.pid)

        async def open_answer(path: str, header: dict[str, str]) -> None:
            answer = await held.enter_async_context(client.stream("GET", path, headers=header))
            assert answer.status_code == 200
            pieces = answer.aiter_raw(1_000_000)
            for _ in range(3):
                await anext(pieces)

        paths = ("/api/historical/DEMO/*-B", "/api/v1/account/export")
        await asyncio.gather(*(open_answer(path, header) for path in paths for header in headers))
        grown = resident(process.pid) - before
        assert grown < ALLOWED, f"{grown / 1e6:.0f} MB"
