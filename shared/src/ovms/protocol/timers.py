"""How long a peer may be silent, and when a car is pinged. All in seconds."""

from dataclasses import dataclass

from ovms.identity import Role


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The reference server's times (`ovms_server.conf.default`), each of which can be set."""

    welcome: float = 30.0
    """To send a welcome after connecting."""
    hold: float = 75.0
    """The most that a login may wait for us. A module gives up by itself after 60 s; were we the first to close, newer
    firmware would take it for wrong credentials and stay away until its owner comes."""
    car: float = 960.0
    app: float = 1200.0
    batch: float = 120.0
    ping_margin: float = 60.0
    """A car that we have sent nothing to is pinged this long before `car` ends."""
    ping_again: float = 300.0
    """The least time between two pings."""

    def silence(self, role: Role) -> float:
        """How long a peer that has logged in may be silent."""
        if role is Role.CAR:
            return self.car
        return self.app if role is Role.APP else self.batch
