"""Who here waits for something on a channel of a vehicle: the channel is heard while somebody does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ovms.bus.subscriptions import Listener, Party

Wake = Callable[[], None]


class Wakers:
    """Calls back at whatever comes on a channel, and when it begins to be heard: it may have come just before."""

    def __init__(self, subscriptions: Party) -> None:
        self._subscriptions = subscriptions
        self._waiting: dict[str, list[Wake]] = {}

    @contextmanager
    def waking(self, channel: str, wake: Wake) -> Iterator[None]:
        """Call back while the block runs."""
        self.add(channel, wake)
        try:
            yield
        finally:
            self.remove(channel, wake)

    def add(self, channel: str, wake: Wake) -> None:
        """Call back from now on."""
        waiting = self._waiting.setdefault(channel, [])
        waiting.append(wake)
        if len(waiting) > 1:
            wake()
            return

        def tell(_: bytes = b"") -> None:
            for one in list(waiting):
                one()

        self._subscriptions.hear(channel.encode(), Listener(tell, tell))

    def remove(self, channel: str, wake: Wake) -> None:
        """Call back no more."""
        waiting = self._waiting[channel]
        waiting.remove(wake)
        if not waiting:
            del self._waiting[channel]
            self._subscriptions.leave(channel.encode())
