"""The page on which a mail address is confirmed."""

import html

import pytest

from api_gateway.confirmation.routes import PATH
from fixtures.gateway import Gateway
from fixtures.typed import DEMO
from ovms.db.mail_addresses import take_unconfirmed

SUBSCRIPTION = "/api/v1/vehicles/DEMO/subscriptions/phone"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def ask(gateway: Gateway, code: str) -> None:
    """Subscribe an address, and give it a code as if it had been sent."""
    async with gateway.client(auth=DEMO) as client:
        made = await client.put(SUBSCRIPTION, json={"push_type": "mail", "key": "new@example.org"})
        assert made.json()["confirmed"] is False
    assert await take_unconfirmed(gateway.pool, code)


async def is_confirmed(gateway: Gateway) -> bool:
    async with gateway.client(auth=DEMO) as client:
        [listed] = (await client.get("/api/v1/vehicles/DEMO/subscriptions")).json()["items"]
    return bool(listed["confirmed"])


async def test_whoever_fetches_the_link_confirms_nothing_and_the_button_does(gateway: Gateway) -> None:
    await ask(gateway, "the-code")
    async with gateway.client() as client:
        page = await client.get(PATH, params={"code": "the-code"})
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert 'value="the-code"' in page.text
        assert not await is_confirmed(gateway)
        done = await client.post(PATH, data={"code": "the-code"})
        assert (done.status_code, "Confirmed" in done.text) == (200, True)
        assert await is_confirmed(gateway)
        assert (await client.post(PATH, data={"code": "the-code"})).status_code == 404


@pytest.mark.parametrize(
    "body",
    [b"", b"code=", b"code=another", b"code=%00%ff", b"\xff\xfe", b"code=" + b"x" * 2000, b"a=1&" * 10 + b"code=the-code"],
)
async def test_what_is_no_code_confirms_nothing(gateway: Gateway, body: bytes) -> None:
    await ask(gateway, "the-code")
    async with gateway.client() as client:
        assert (await client.post(PATH, content=body, headers=FORM)).status_code == 404
    assert not await is_confirmed(gateway)


async def test_a_code_in_the_address_is_text_in_the_page(gateway: Gateway) -> None:
    code = '"><script>alert(1)</script>'
    async with gateway.client() as client:
        page = await client.get(PATH, params={"code": code})
    assert "<script" not in page.text
    assert html.escape(code) in page.text
    assert "script" not in page.headers["content-security-policy"]
