"""A fleet that comes from a reference server: its cars, apps and owners notice nothing."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from api_gateway.settings import Settings as GatewaySettings
from car_protocol.settings import Settings as CarSettings
from fixtures.cars import car_service_on
from fixtures.command import Command, ovms
from fixtures.gateway import gateway_settings, running
from fixtures.mariadb import DATABASE, READER, MariaDB
from ovms.identity import Role

__all__ = ["gateway_settings", "ovms"]

# Of "password", see tests/unit/ovms/db/test_drupal.py.
DRUPAL = "$S$CFURCPa.k6FAEbJPgejaW4nijv7rYgGc4dUJtChQtV4KLJTPTC/u"
TOKEN = "fedcba9876543210" * 4


async def test_car_app_owner_and_token_go_on_as_before(
    ovms: Command,
    mariadb: MariaDB,
    pool: asyncpg.Pool[asyncpg.Record],
    car_settings: dict[str, Any],
    gateway_settings: GatewaySettings,
) -> None:
    mariadb.add("owners", **{"owner": 7, "name": "Ann", "pass": DRUPAL, "status": 1})
    mariadb.add("cars", owner=7, vehicleid="Roadster1", carpass="pass wörd")
    mariadb.add("carmessages", owner=7, vehicleid="ROADSTER1", m_code="S", m_msg="83,K", m_msgtime="2026-01-02 03:04:05")
    mariadb.add("apitokens", owner=7, token=TOKEN, permit="*")
    # All that the manual gives the user.
    mariadb.run(f"GRANT SELECT ON {DATABASE}.* TO 'selects'@'127.0.0.1' IDENTIFIED BY 'only'")
    url = mariadb.url.replace(f"{READER}:p%2Fw%401", "selects:only")
    status, _, err = await asyncio.to_thread(ovms, "import-reference", OVMS_REFERENCE_URL=url)
    # Only progress, which an import that takes long reports.
    assert (status, [line for line in err.splitlines() if "rows, " not in line]) == (0, [])

    async with car_service_on(CarSettings(**car_settings), pool) as service:
        app = await service.connect(Role.APP, "roadster1", "pass wörd".encode())
        await app.welcomed()
        await app.until_hears(b"S83,K")
        car = await service.connect(Role.CAR, "ROADSTER1", "pass wörd".encode())
        await car.welcomed()
        car.send(b"S84,K")
        await app.until_hears(b"S84,K")

    async with (
        running(gateway_settings, io.BytesIO()) as port,
        httpx.AsyncClient() as client,
    ):

        async def vehicles(user: str, secret: str) -> object:
            answer = await client.get(f"http://127.0.0.1:{port}/api/vehicles", params={"username": user, "password": secret})
            client.cookies.clear()
            return [entry["id"] for entry in answer.json()] if answer.status_code == 200 else answer.status_code

        assert await vehicles("Ann", "wrong") == 401
        assert await vehicles("Ann", TOKEN) == ["Roadster1"]
        assert await pool.fetchval("SELECT password_hash FROM owners") == DRUPAL
        assert await vehicles("ann", "password") == ["Roadster1"]
        assert (await pool.fetchval("SELECT password_hash FROM owners")).startswith("$argon2id$")
        assert await vehicles("ann", "password") == ["Roadster1"]


def test_the_reader_of_the_page_may_read_and_no_more(mariadb: MariaDB) -> None:
    page = (Path(__file__).parents[2] / "docs" / "coming-from-the-reference.md").read_text()
    [statements] = re.findall(r"^ *```sql\n(.*?)^ *```", page, re.DOTALL | re.MULTILINE)
    try:
        for statement in statements.strip().removesuffix(";").split(";\n"):
            mariadb.run(statement.replace("%", "%%"))
        grants = [grant for (grant,) in mariadb.run("SHOW GRANTS FOR reader@'10.%%'")]
    finally:
        mariadb.run("DROP USER IF EXISTS reader@'10.%%'")
    assert [grant.partition(" ON ")[::2] for grant in grants if not grant.startswith("GRANT USAGE ")] == [
        ("GRANT SELECT", f"`{DATABASE}`.* TO `reader`@`10.%`")
    ]
