"""The ports are opened once, whoever thinks of it."""

import asyncio

from car_protocol.connections.listener import Listener


class SlowDoor:
    """A door that takes a turn of the loop to open."""

    is_tls = False
    port = 6867

    def __init__(self) -> None:
        self.opened = 0
        self._is_open = False

    async def open(self) -> None:
        if not self._is_open:
            await asyncio.sleep(0)
            self.opened += 1
            self._is_open = True

    def close(self) -> None:
        self._is_open = False


async def test_who_comes_through_the_first_door_does_not_open_the_second_once_more() -> None:
    doors = [SlowDoor(), SlowDoor()]
    listener = Listener(doors, lambda: 1, limit=10)
    running = asyncio.create_task(listener.run())
    opening = asyncio.create_task(listener.open())
    await asyncio.sleep(0)
    listener.connections_changed()
    await opening
    for _ in range(10):
        await asyncio.sleep(0)
    assert listener.is_open
    assert [door.opened for door in doors] == [1, 1]
    assert not running.done()
    running.cancel()
