"""Pages in a real browser that hear events: by EventSource and a cookie, by WebSocket and a first frame."""

import pytest
from playwright.async_api import Browser, Page

from fixtures.browser import browser, needs_browser
from fixtures.gateway import OWNERS, Gateway, gateway, gateway_settings, send_message
from ovms.db.tokens import create_token

__all__ = ["browser", "gateway", "gateway_settings"]

pytestmark = needs_browser

# What a page does, as short as it can be: it shows the charge of every state that it is told.
SHOW = """
    window.shown = [];
    window.show = (kind, data) => { if (kind === "state") shown.push(JSON.parse(data).values.soc); };
"""
BY_COOKIE = """async () => {
    await fetch("/api/cookie?username=demo&password=" + PASSWORD);
    const events = new EventSource("/api/v1/vehicles/DEMO/events");
    events.addEventListener("state", (event) => show("state", event.data));
}"""
BY_FRAME = """async (authorization) => {
    const socket = new WebSocket("ws://" + location.host + "/api/v1/vehicles/DEMO/events");
    socket.onopen = () => socket.send(JSON.stringify({authorization}));
    socket.onmessage = (message) => {
        const told = JSON.parse(message.data);
        show(told.event, JSON.stringify(told.data));
    };
}"""


async def page_of(browser: Browser, gateway: Gateway) -> Page:
    # It stands for a page that somebody else has put on this server's host: what ours may do is told with each of them.
    page = await browser.new_page(bypass_csp=True)
    await page.goto(f"{gateway.url}/livez")
    await page.evaluate(SHOW)
    return page


async def shows(page: Page, *charges: float) -> None:
    await page.wait_for_function("wanted => JSON.stringify(shown) === JSON.stringify(wanted)", arg=charges, timeout=15_000)


@pytest.mark.parametrize("way", ["cookie", "frame"])
async def test_a_page_hears_what_a_car_says(gateway: Gateway, browser: Browser, way: str) -> None:
    await send_message(gateway.pool, "DEMO", "S75,K")
    page = await page_of(browser, gateway)
    if way == "cookie":
        await page.evaluate(BY_COOKIE.replace("PASSWORD", repr(OWNERS["demo"][0])))
    else:
        owner = await gateway.pool.fetchval("SELECT id FROM owners WHERE name = 'demo'")
        token = await create_token(gateway.pool, owner, application="x", purpose="x", permit="read")
        await page.evaluate(BY_FRAME, f"Bearer {token}")
    await shows(page, 75)
    await gateway.redis.publish("ovms:{DEMO}:1:messages", "5-1 S76,K")
    await shows(page, 75, 76)
    await page.close()
