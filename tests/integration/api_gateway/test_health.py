"""The gateway says how it is."""

from fixtures.gateway import Gateway


async def test_ready(gateway: Gateway) -> None:
    async with gateway.client() as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.text) == (200, '{"postgresql":"ok","redis":"ok"}\n')
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/metrics")).status_code == 404
