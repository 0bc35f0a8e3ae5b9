"""Who has closed a socket, as the journal says it."""

import asyncio

from chaos.journal import Connected, Event, Journal, Lost
from chaos.link import Link
from fixtures.replicas import HOST
from ovms.identity import Role


def opened_and_cancelled(turn: str) -> list[Event]:
    """Open a link and cancel it at its first turn or as soon as it is connected; returns the journal."""

    async def run() -> list[Event]:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, HOST, 0)
        journal = Journal(lambda: 0.0)
        opening: asyncio.Task[bool] | None = None

        class Cancelling(Link):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                if turn == "before it is noted":
                    assert opening is not None
                    opening.cancel()
                super().connection_made(transport)
                if turn == "after it is noted":
                    assert opening is not None
                    opening.cancel()

        link = Cancelling(journal, Role.CAR, "DEMO", "replica 1", lambda _, __: None)
        opening = asyncio.create_task(link.open(server.sockets[0].getsockname()[1]))
        await asyncio.wait([opening])
        assert opening.cancelled()
        for _ in range(5):  # asyncio closes the socket in a later turn of the loop
            await asyncio.sleep(0)
        server.close()
        return journal.events

    return asyncio.run(run())


def test_a_socket_whose_opening_is_cancelled_is_closed_by_this_side() -> None:
    for turn in ("before it is noted", "after it is noted"):
        events = opened_and_cancelled(turn)
        assert [type(event) for event in events] == [Connected, Lost], turn
        assert [event.by_server for event in events if isinstance(event, Lost)] == [False], turn


def test_a_link_that_ended_before_it_was_connected_closes_what_connects() -> None:
    async def run() -> list[Event]:
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, HOST, 0)
        journal = Journal(lambda: 0.0)
        link = Link(journal, Role.CAR, "DEMO", "replica 1", lambda _, __: None)
        link.end("cancelled")
        await link.open(server.sockets[0].getsockname()[1])
        for _ in range(5):
            await asyncio.sleep(0)
        server.close()
        return journal.events

    assert asyncio.run(run()) == []
