"""One vehicle, while somebody here watches it: what it sends, who is connected to it, and what becomes of its commands.

Its channels are joined before its newest state is read, and what is heard while that is being read is the newer: nothing falls
between the two. What has been read once is kept, so that others who come are told at once.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, NamedTuple, Protocol

import orjson

from api_gateway.live import events
from api_gateway.live.events import Event, Told
from api_gateway.live.inbox import Inbox
from api_gateway.live.newest import Newest
from api_gateway.live.said import Key, Notification, Position, State, read_said
from api_gateway.v1.records import LOCATED
from ovms.auth.rights import HISTORY, LOCATION, READ, SCOPES
from ovms.bus.channels import commands_channel, messages_channel, peers_channel
from ovms.bus.presence import Peers, Present, present_of
from ovms.bus.subscriptions import Listener
from ovms.db.logins import StoredMessage
from ovms.identity import VehicleName
from ovms.records import RECORDS, DistanceUnit
from ovms.records import State as StateRecord
from ovms.records.logs import without_positions

OVERLAP: Final = 180.0
"""Seconds before the time that a reader knows of, of which he is told again: clocks differ, and what was heard of nobody is
found when all is read anew."""
CLOCK_STEP: Final = 60_000_000
"""Microseconds; what is told of a time before is taken for news after Redis' clock was set back."""

_STATE: Final = "S"

Rights = frozenset[str]
"""The scopes that a reader has of a vehicle."""


class _Reader(NamedTuple):
    rights: Rights
    known_until: float | None
    """Unix time until which he knows the vehicle's state; None: he knows nothing of it."""


class Channels(Protocol):
    """Where channels are heard."""

    def hear(self, channel: bytes, listener: Listener) -> None:
        """Call a listener for a channel."""

    def leave(self, channel: bytes) -> None:
        """Hear it no more."""


class Feed:
    """A vehicle and its readers.

    Args:
        load: has its newest state read, soon.
        clock: Unix time.
    """

    def __init__(self, vehicle: int, vehicle_id: str, load: Callable[["Feed"], None], clock: Callable[[], float]) -> None:
        self.vehicle = vehicle
        self.vehicle_id = vehicle_id
        self.name = VehicleName(vehicle_id, vehicle)
        self._load = load
        self._clock = clock
        self._readers: dict[Inbox, _Reader] = {}
        self._newest: dict[str, Newest] = {}
        self._units: DistanceUnit | None = None
        self._token: str | None = None
        self._present = Present()
        self._peers: Peers | None = None
        self._read_at = clock()
        """When all was read last."""
        self._hears: set[bytes] = set()
        self._heard: set[str] = set()
        """The codes of what has been heard since the load that is under way began."""
        self.is_loaded = False

    # ---- its readers

    @property
    def is_watched(self) -> bool:
        """Whether it has a reader."""
        return bool(self._readers)

    def join(self, inbox: Inbox, rights: Rights, known_until: float | None) -> None:
        """Tell a reader the newest of everything, and then what changes; all anew where he may see other things than before.

        Args:
            known_until: the Unix time until which he knows its state already, where he does.
        """
        if (former := self._readers.get(inbox)) is not None:
            if former.rights == rights:
                return
            inbox.forget(self.vehicle)
            known_until = None
        reader = self._readers[inbox] = _Reader(rights, known_until)
        if self.is_loaded:
            self._tell_all(inbox, reader)
        else:
            inbox.await_load(self.vehicle)

    def leave(self, inbox: Inbox) -> None:
        """Tell a reader no more."""
        if self._readers.pop(inbox, None) is not None:
            inbox.loaded(self.vehicle)
            inbox.forget(self.vehicle)

    def leave_all(self) -> None:
        """Deliver to no reader any longer."""
        for inbox in list(self._readers):
            self.leave(inbox)

    def _tell_all(self, inbox: Inbox, reader: _Reader) -> None:
        since = None if reader.known_until is None else reader.known_until - OVERLAP
        for code, newest in self._newest.items():
            if scope_of(code) in reader.rights and (since is None or newest.received_at > since):
                inbox.put(self.vehicle, code, newest, None)
        if self._peers is not None:
            inbox.put(self.vehicle, events.PRESENCE, events.presence(self.vehicle_id, self._peers), None)

    # ---- its channels

    def listen(self, channels: Channels) -> None:
        """Join its channels."""
        for channel, heard in self._channels():
            channels.hear(channel, Listener(heard, partial(self._subscribed, channel)))

    def leave_channels(self, channels: Channels) -> None:
        """Hear nothing more."""
        for channel, _ in self._channels():
            channels.leave(channel)

    def _channels(self) -> list[tuple[bytes, Callable[[bytes], None]]]:
        makers = (
            (messages_channel, self.heard_message),
            (peers_channel, self.heard_peers),
            (commands_channel, self.heard_command),
        )
        return [(channel_of(self.name).encode(), heard) for channel_of, heard in makers]

    def _subscribed(self, channel: bytes) -> None:
        if channel in self._hears:  # Redis was away
            self._miss()
        self._hears.add(channel)
        if len(self._hears) == len(self._channels()):
            self._load(self)

    def _miss(self) -> None:
        for inbox in self._readers:
            inbox.miss(self._read_at)

    def heard_message(self, body: bytes) -> None:
        """Something on the messages channel.

        Raises:
            ValueError: it is malformed.
        """
        _, said = read_said(body)
        match said:
            case State(code, data, is_sealed):
                if is_sealed or code in RECORDS:
                    self._heard.add(code)
                    self._tell_states(self._keep(code, data, self._clock(), is_sealed=is_sealed))
            case Notification(kind, text):
                self._notify(kind, text)
            case Key(token):
                if token != self._token:
                    self._token = token
                    self._newest = {code: newest for code, newest in self._newest.items() if not newest.is_sealed}
            case Position():
                self._miss()
                self._load(self)

    def heard_peers(self, body: bytes) -> None:
        """Something on the peers channel."""
        self.is_present(present_of(body))

    def heard_command(self, body: bytes) -> None:
        """Something on the commands channel; a command is shown to those who have the scope that it names.

        Raises:
            ValueError: it is no command.
        """
        told = orjson.loads(body)
        if not isinstance(told, dict) or (scope := told.get("scope")) not in SCOPES:
            raise ValueError("no command")
        self._add(Event(events.COMMAND, events.to_json(told)), scope, self._clock())

    # ---- what is read

    def load_begins(self) -> None:
        """What is heard from now on is newer than what is going to be read."""
        self._heard.clear()

    def is_present(self, present: Present) -> None:
        """Who is connected."""
        if self._present.at - CLOCK_STEP < present.at < self._present.at:
            return
        self._present = present
        if (peers := present.peers()) != self._peers:
            self._peers = peers
            self._tell(events.PRESENCE, events.presence(self.vehicle_id, peers), READ)

    def load(self, stored: Mapping[int, StoredMessage], *, is_whole: bool) -> None:
        """The newest state as it was read.

        Args:
            is_whole: False: what the car's replica has not written yet is not in it.
        """
        self._read_at = self._clock()
        is_first, self.is_loaded = not self.is_loaded, True
        # The state comes first: it tells the units of all others.
        codes = sorted(map(chr, stored), key=lambda code: code != _STATE)
        changed = [each for code in codes for each in self._merge(code, stored[ord(code)], is_whole=is_whole)]
        if not is_first:
            self._tell_states(changed)
            return
        for inbox, reader in self._readers.items():
            self._tell_all(inbox, reader)
            inbox.loaded(self.vehicle)

    def _merge(self, code: str, stored: StoredMessage, *, is_whole: bool) -> Iterable[str]:
        former, is_sealed = self._newest.get(code), stored.sealed_with is not None
        if code in self._heard or not (is_sealed or code in RECORDS):
            return ()
        if former is not None:
            is_older = not is_whole and stored.received_at <= former.received_at
            if is_older or former.says(stored.message[1:], is_sealed=is_sealed):
                return ()
        return self._keep(code, stored.message[1:], stored.received_at, is_sealed=is_sealed)

    def _keep(self, code: str, message: bytes, received_at: float, *, is_sealed: bool) -> Iterable[str]:
        """Keep a message as the newest of its code; the codes of the events that are others now."""
        newest = Newest(self.vehicle_id, code, message, received_at, self._units, is_sealed=is_sealed)
        self._newest[code] = newest
        if code != _STATE or is_sealed:
            return (code,)
        assert isinstance(newest.record, StateRecord)
        if newest.record.units == self._units:
            return (code,)
        self._units = newest.record.units
        self._newest = {each: former.measured_in(self._units) for each, former in self._newest.items()}
        return self._newest

    # ---- telling

    def _tell_states(self, codes: Iterable[str]) -> None:
        for code in codes:
            self._tell(code, self._newest[code], scope_of(code))

    def _tell(self, what: str, event: Told, scope: str) -> None:
        now = self._clock()
        for inbox in self._readers_with(scope):
            inbox.put(self.vehicle, what, event, now)

    def _add(self, event: Told, scope: str, now: float) -> None:
        for inbox in self._readers_with(scope):
            inbox.add(self.vehicle, event, now)

    def _notify(self, kind: str, text: str) -> None:
        """Tell a notification; where the vehicle is, which some texts say, only to those with the scope for that."""
        now = self._clock()
        whole = events.notification(self.vehicle_id, kind, text, now)
        less = events.notification(self.vehicle_id, kind, without_positions(text), now)
        for inbox in self._readers_with(HISTORY):
            inbox.add(self.vehicle, whole if LOCATION in self._readers[inbox].rights else less, now)

    def _readers_with(self, scope: str) -> Iterable[Inbox]:
        return [inbox for inbox, reader in self._readers.items() if scope in reader.rights]


def scope_of(code: str) -> str:
    """The scope that a record is shown to."""
    return LOCATION if code in LOCATED else READ
