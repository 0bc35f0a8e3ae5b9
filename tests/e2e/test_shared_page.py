"""The page behind a link, in a real browser that may speak to our server alone."""

import pytest
from playwright.async_api import Browser, Page, expect

from fixtures.browser import browser, needs_browser
from fixtures.gateway import Gateway, gateway, gateway_settings, send_message
from fixtures.typed import DEMO, bearer

__all__ = ["browser", "gateway", "gateway_settings"]

pytestmark = needs_browser

STATUS = "S75.5,K,230,16,charging,standard,280,251,16,93,0,43,4,1,1,0,0,0,158,142,60,0,80,0,0,0,0,140,60,402,2,7.2"
DOORS = "D84,4,4,45,40,22,1234,456789,0,5400,14,2,1,1,12.9,0,12.6,16,27,0.8,17"
LOCATION = "L48.208493,16.373118,92,171,1,1,0,812"


@pytest.fixture
async def page(browser: Browser) -> Page:
    """A fresh page, whose complaints and requests are kept."""
    page = await browser.new_page(viewport={"width": 900, "height": 800})
    page.set_default_timeout(20_000)
    return page


async def make_link(gateway: Gateway, *, location: bool) -> str:
    async with gateway.client(auth=DEMO) as owner:
        wanted = {"expires_at": "2027-06-01T00:00:00Z", "location": location}
        return str((await owner.post("/api/v1/vehicles/DEMO/links", json=wanted)).json()["path"])


async def test_it_shows_the_vehicle_and_asks_nobody_else(gateway: Gateway, page: Page) -> None:
    complaints: list[str] = []
    requested: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
    page.on("request", lambda request: requested.append(request.url))
    for message in (STATUS, DOORS, LOCATION):
        await send_message(gateway.pool, "DEMO", message)
    path = await make_link(gateway, location=True)
    await page.goto(gateway.url + path)
    await expect(page.get_by_role("heading", name="DEMO")).to_be_visible()
    await expect(page.locator("#soc")).to_have_text("76")
    await expect(page.locator("#range")).to_have_text("251 km")
    await expect(page.locator("#charging")).to_contain_text("Charging")
    await expect(page.get_by_text("48.20849, 16.37312")).to_be_visible()
    await expect(page.locator("dt", has_text="Locked").locator("xpath=following-sibling::dd[1]")).to_have_text("yes")
    assert complaints == []
    assert all(url.startswith(gateway.url + "/") for url in requested)
    secret = path.partition("#")[2]
    # The browser itself knows the fragment of the page that it shows, and keeps it to itself.
    assert secret not in gateway.log.getvalue().decode()
    assert [url for url in requested if secret in url.partition("#")[0]] == []


async def test_it_follows_the_vehicle(gateway: Gateway, page: Page) -> None:
    await page.clock.install()
    await send_message(gateway.pool, "DEMO", STATUS)
    await page.goto(gateway.url + await make_link(gateway, location=False))
    await expect(page.locator("#soc")).to_have_text("76")
    await gateway.pool.execute("UPDATE messages SET data = $1", STATUS[1:].replace("75.5", "80").encode())
    async with page.expect_response("**/state"):
        await page.clock.run_for(10_000)
    await expect(page.locator("#soc")).to_have_text("80")


async def test_without_location_it_does_not_say_where_the_vehicle_is(gateway: Gateway, page: Page) -> None:
    for message in (STATUS, LOCATION):
        await send_message(gateway.pool, "DEMO", message)
    await page.goto(gateway.url + await make_link(gateway, location=False))
    await expect(page.locator("#soc")).to_have_text("76")
    await expect(page.get_by_text("Where it is")).to_have_count(0)


async def test_it_says_when_the_link_has_ended(gateway: Gateway, page: Page) -> None:
    path = await make_link(gateway, location=False)
    async with bearer(gateway, path.partition("#")[2]) as visitor:
        assert (await visitor.get("/api/v1/vehicles")).status_code == 200
    await gateway.pool.execute("DELETE FROM api_tokens")
    for address in (path, "/shared#", "/shared#<script>"):
        await page.goto("about:blank")
        await page.goto(gateway.url + address)
        await expect(page.get_by_role("status")).to_contain_text("This link has ended")
