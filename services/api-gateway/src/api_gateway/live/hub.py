"""The vehicles that somebody watches here; each is heard and read once, however many watch it."""

from collections.abc import Callable
from typing import Any

from api_gateway.live.feed import Channels, Feed, Rights
from api_gateway.live.inbox import Inbox
from api_gateway.live.loader import Loader
from api_gateway.live.tally import Tally
from ovms.bus.cars import Cars
from ovms.bus.presence import Presence
from ovms.db.engine import Pool
from ovms.db.reach import Reached


class Hub:
    """Feeds, by vehicle."""

    def __init__(
        self,
        pool: Pool,
        presence: Presence,
        cars: Cars,
        channels: Channels,
        clock: Callable[[], float],
        log: Any,
        *,
        make_feed: Callable[..., Feed] = Feed,
        make_inbox: Callable[..., Inbox] = Inbox,
    ) -> None:
        self._channels = channels
        self._clock = clock
        self._make_feed, self._make_inbox = make_feed, make_inbox
        self._feeds: dict[int, Feed] = {}
        self.tally = Tally(clock)
        self._loader = Loader(pool, presence, cars, lambda: list(self._feeds.values()), clock, log)

    @property
    def vehicles(self) -> int:
        """How many are watched."""
        return len(self._feeds)

    def inbox(self, known_until: float | None) -> Inbox:
        """For a reader who knows all until a Unix time, if he knows anything."""
        return self._make_inbox(known_until, self._loader.told_until, self.tally)

    def join(self, vehicle: Reached, inbox: Inbox, rights: Rights, known_until: float | None) -> None:
        """Tell a reader of a vehicle, what he may know and does not know until a Unix time."""
        if (feed := self._feeds.get(vehicle.key)) is not None:
            feed.join(inbox, rights, known_until)
            return
        feed = self._feeds[vehicle.key] = self._make_feed(vehicle.key, vehicle.vehicle_id, self._loader, self._clock)
        feed.join(inbox, rights, known_until)
        feed.listen(self._channels)

    def leave(self, vehicle: int, inbox: Inbox) -> None:
        """Tell a reader nothing more of a vehicle."""
        if (feed := self._feeds.get(vehicle)) is not None:
            feed.leave(inbox)
            if not feed.is_watched:
                del self._feeds[vehicle]
                feed.leave_channels(self._channels)

    def remove(self, vehicle: int) -> None:
        """Deliver nothing more of a vehicle that was removed."""
        if (feed := self._feeds.pop(vehicle, None)) is not None:
            feed.leave_all()
            feed.leave_channels(self._channels)

    async def run(self) -> None:
        """Read what is newest until cancelled."""
        await self._loader.run()
