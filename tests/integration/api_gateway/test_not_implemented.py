"""Calls that are announced and not built."""

import pytest

from api_gateway.legacy.unimplemented import CALLS
from fixtures.gateway import Gateway


@pytest.mark.parametrize(("method", "call"), [(method, call) for method, call, _ in CALLS])
async def test_they_say_so_to_those_who_are_signed_in(gateway: Gateway, method: str, call: str) -> None:
    async with gateway.client() as stranger, await gateway.signed_in() as client:
        for path in (f"/api/{call}/DEMO", f"/api/{call}/DEMO/x", f"/api/{call}"):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.headers["content-type"], answer.text) == (
                501,
                "text/plain",
                "Not yet implemented\n",
            )
            assert (await stranger.request(method, path)).status_code == 401
