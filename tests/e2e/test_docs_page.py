"""The documentation in a real browser that may speak to our server alone."""

from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page

from fixtures.browser import browser, needs_browser
from fixtures.gateway import Gateway, gateway, gateway_settings

__all__ = ["browser", "gateway", "gateway_settings"]

pytestmark = needs_browser


class Visit:
    """A page, what it asked for and what it complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requested: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requested.append(request.url))
        page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda line: self.complaints.append(line.text) if line.type in ("error", "warning") else None)

    def check(self, origin: str) -> None:
        """Nothing went elsewhere and nothing was wrong."""
        assert self.complaints == []
        assert self.requested
        elsewhere = [url for url in self.requested if _origin(url) != origin]
        assert elsewhere == []


def _origin(url: str) -> str:
    parts = urlsplit(url.removeprefix("blob:"))
    return f"{parts.scheme}://{parts.netloc}"


@pytest.fixture
async def visit(browser: Browser) -> Visit:
    """A fresh page."""
    return Visit(await browser.new_page())


async def test_swagger_ui_shows_and_tries_the_calls(gateway: Gateway, visit: Visit) -> None:
    page = visit.page
    await page.goto(gateway.url + "/docs")
    await page.wait_for_selector(".opblock")
    assert await page.locator(".opblock").count() > 30
    summary = page.locator(".opblock-summary", has_text="/api/status/{vehicle_id}")
    await summary.click()
    block = page.locator(".opblock.is-open")
    await block.get_by_text("Successful Response").or_(block.get_by_text("What the vehicle sent last")).first.wait_for()
    await block.get_by_role("button", name="Try it out").click()
    await block.get_by_placeholder("vehicle_id").fill("DEMO")
    visit.check(gateway.url)
    await block.get_by_role("button", name="Execute").click()
    await block.locator(".live-responses-table").get_by_text("Authentication failed").wait_for()
    assert all(_origin(url) == gateway.url for url in visit.requested)


async def test_redoc_shows_the_calls(gateway: Gateway, visit: Visit) -> None:
    page = visit.page
    await page.goto(gateway.url + "/redoc")
    await page.wait_for_selector("h1, h2")
    await page.get_by_role("heading", name="Sign in").first.wait_for()
    for section in ("session", "tokens", "vehicles", "state", "history"):
        assert await page.locator(f'[id="tag/{section}"]').count() == 1
    await page.wait_for_load_state("networkidle")
    visit.check(gateway.url)
