"""A page in a real browser that logs in over a WebSocket and shows what a car sends."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from car_protocol.settings import Settings
from fixtures.browser import browser, needs_browser
from fixtures.cars import CarService, add_vehicles, car_service_on
from fixtures.certificates import Pair, pair
from ovms.db.engine import Pool
from ovms.db.passwords import hash_password

__all__ = ["browser", "pair"]

pytestmark = needs_browser

# What an app in a browser does, as short as it can be.
PAGE = """
<ol id="heard"></ol><p id="end"></p>
<script>
  const socket = new WebSocket(ADDRESS);
  socket.onopen = () => socket.send(WELCOME);
  socket.onmessage = (event) => {
    const item = document.createElement("li");
    item.textContent = event.data;
    document.getElementById("heard").append(item);
  };
  socket.onclose = (event) => { document.getElementById("end").textContent = event.code; };
</script>
"""


@pytest.fixture
async def service(car_settings: dict[str, Any], pool: Pool, secret_keys: str, pair: Pair) -> AsyncIterator[CarService]:
    """A service with both ports, and vehicles DEMO and MINE of owner anna."""
    await add_vehicles(pool, secret_keys, "DEMO", "MINE")
    await pool.execute("UPDATE owners SET name = 'anna', password_hash = $1", await asyncio.to_thread(hash_password, "secret"))
    async with car_service_on(Settings(**car_settings, **pair.settings, v2_tls_port=0), pool) as service:
        yield service


async def visit(browser: Browser, address: str, welcome: str) -> Page:
    """The page, on its way to log in."""
    # Nobody has signed the certificate; that certificates are checked is tested elsewhere.
    context = await browser.new_context(ignore_https_errors=True)
    page = await context.new_page()
    await page.set_content(PAGE.replace("ADDRESS", json.dumps(address)).replace("WELCOME", json.dumps(welcome)))
    return page


async def shows(page: Page, *lines: str) -> None:
    """Wait until the page shows these lines and no others."""
    await page.wait_for_function(
        "lines => JSON.stringify([...document.querySelectorAll('li')].map(li => li.textContent)) === JSON.stringify(lines)",
        arg=list(lines),
        timeout=15_000,
    )


def address_of(service: CarService, scheme: str) -> str:
    listener = service.running.listener
    return f"{scheme}://127.0.0.1:{listener.port if scheme == 'ws' else listener.tls_port}/apiv2"


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_page_shows_what_a_car_sends(service: CarService, browser: Browser, scheme: str) -> None:
    car = await service.car()
    page = await visit(browser, address_of(service, scheme), "MP-A 1 anna secret *")
    greeted = ["MP-S 1 anna DEMO DEMO MINE", "Z1", "T3020399"]
    await shows(page, *greeted)

    car.send(b"S75,K,230,16,charging", "PIäußerst voll".encode())

    greeted += ["S75,K,230,16,charging", "T0", "PIäußerst voll"]
    await shows(page, *greeted)

    await page.evaluate("socket.send('C7,stat')")
    await car.until_hears(b"C7,stat")
    car.send(b"c7,0,all is well")
    await shows(page, *greeted, "c7,0,all is well")

    await page.evaluate("socket.close()")
    await car.until_hears(b"Z0")
    await page.get_by_text("1005").wait_for()
    await page.context.close()


async def test_a_page_learns_that_it_is_not_let_in(service: CarService, browser: Browser) -> None:
    page = await visit(browser, address_of(service, "ws"), "MP-A 1 anna wrong *")
    await page.get_by_text("1000").wait_for()
    await shows(page)
    await page.context.close()
