"""The state of one vehicle in one process while it has watchers, and how it is kept in step with the car's replica.

The caller passes events, one method each, and carries out the effects that the method returns, in their order. Which effect
follows from which event in which phase is in `ovms.sync.transitions`; a pair that is absent there is a `StateError`. Results
of requests carry the number of their request; a result that comes late, twice or not at all does no harm.

What holds, provided that every message has its version (`ovms.sync.versions`):

- V1: a version is given once, by one process, in the car's order; session numbers never fall.
- V2: in PostgreSQL the version of a row never falls.
- A1: an answer at a position contains every row of its replica that is not committed when the answer is made. A read that
  begins after the answer has arrived finds the others.
- W1, monotonic: of each code a view delivers strictly increasing versions, since only `View._keep` lets a row through.
- W2, prefix: a view that is LIVE at (e, s) has delivered, of each code, the newest version of session e up to number s that
  still exists, or a later one. It is so when the view becomes LIVE, by A1 and the order of question, answer and read; then
  only the next number moves the position, and any other leaves LIVE.
- W3, convergence: when nothing is on its way, unwritten or due, every view has delivered the newest version of each code that
  still exists. Every loss leads to a new question: a jump in the numbers, a position that differs, a new subscription, a
  changed presence, or the periodic check.
- W4: all watchers that have had their initial snapshot have been sent the same.

The order across codes is kept unless something was lost. Notifications and answers to commands have numbers as well and are
not merged: the caller sends them to the watchers at most once, in any phase; `Missed` reports that some may have been lost.
"""

from collections.abc import Sequence
from itertools import count
from typing import Final

from ovms.errors import StateError
from ovms.sync.effects import Ask, Deliver, DeliverToken, Effect, Locate, Missed, Read, Snapshot, Subscribe, Unsubscribe
from ovms.sync.transitions import TRANSITIONS, Action, Event, Phase
from ovms.sync.versions import NO_VERSION, Answer, Row, Version, display_order

LONGEST_KEPT: Final = 64 * 1024
"""Bytes of a message; a longer one is delivered, and no snapshot contains it, as PostgreSQL does not."""


class View:
    """The newest row of each code of one vehicle, and the position up to which they are complete.

    A new view is UNSUBSCRIBED: its owner subscribes to the messages channel and calls `subscribed`, or calls `car_connected`.
    Every public method but `shown` takes an event and returns the effects to carry out.
    """

    __slots__ = (
        "_early_read",
        "_is_repeated",
        "_numbers",
        "_replica",
        "_request",
        "_run",
        "_session",
        "_token_version",
        "phase",
        "position",
        "rows",
        "token",
    )

    def __init__(self) -> None:
        self.phase = Phase.UNSUBSCRIBED
        self.position = NO_VERSION
        """Up to where everything of the car's session was received, if that is known."""
        self.rows: dict[int, Row] = {}
        """The newest row of each code, also those that no watcher can decrypt."""
        self.token = ""
        """The token of the car's present key, empty outside paranoid mode."""
        self._token_version = NO_VERSION
        self._session = 0
        """The car's session as last reported by presence or by its replica; 0: it is not connected."""
        self._run = (0, 0, 0)
        """Since the question: the latest session, and the first and last of the numbers received without a jump."""
        self._is_repeated = False
        """Something has happened that the answer or the read may not cover."""
        self._numbers = count(1)
        self._request = 0
        """The open request that the phase waits for, 0 where there is none."""
        self._early_read = 0
        """The read after which waiting watchers get a provisional snapshot."""
        self._replica = ""

    @property
    def is_complete(self) -> bool:
        """Whether a watcher that joins gets its initial snapshot at once."""
        return self.phase in (Phase.LIVE, Phase.STORED, Phase.LOCAL)

    def shown(self) -> list[Row]:
        """Return the rows of a snapshot in the order for clients: those that can be decrypted and are not too long."""
        rows = self.rows
        codes = sorted((code for code, row in rows.items() if row.message and self._is_readable(row)), key=display_order)
        return [rows[code] for code in codes]

    # ---- rows

    def merge(self, rows: Sequence[Row]) -> list[Effect]:
        """Keep the rows that are newer than those of their codes and deliver them; drop the others.

        Call it for rows that are at hand without a request: those that
        this replica has not committed of a former session, or all but the last part of a long answer.
        """
        effects: list[Effect] = []
        if named := [row for row in rows if row.encrypted_with]:
            # Its key was in force at a row's version, whether or not the message that named the key was received.
            newest = max(named, key=lambda row: row.version)
            self._keep_token(newest.version, newest.encrypted_with or "", effects, is_repeated=False)
        newer = [kept for row in rows if (kept := self._keep(row)) is not None]
        if newer:
            effects.append(Deliver(sorted(newer, key=lambda row: display_order(row.message[0]))))
        return effects

    def _keep(self, row: Row) -> Row | None:
        """Keep a row that is newer than that of its code; return it, if a watcher can read it."""
        code, token = row.message[0], row.encrypted_with
        kept = self.rows.get(code)
        if kept is None or row.version > kept.version:
            if token == "":
                row = row._replace(encrypted_with=self.token)
            self.rows[code] = row if len(row.message) <= LONGEST_KEPT else row._replace(message=b"")
            return row if token is None or self._is_readable(row) else None
        if row.version == kept.version and token:
            self.rows[code] = kept._replace(encrypted_with=token)  # it may have been assumed
        return None

    def _is_readable(self, row: Row) -> bool:
        return row.encrypted_with is None or row.encrypted_with == self.token

    def _keep_token(self, version: Version, token: str, effects: list[Effect], *, is_repeated: bool) -> None:
        if version > self._token_version:
            self._token_version, is_other, self.token = version, token != self.token, token
            if is_other or is_repeated:
                effects.append(DeliverToken(token))

    # ---- messages of the car, from its channel or from this replica

    def receive_state(self, row: Row) -> list[Effect]:
        """Merge a state; of an encrypted one from the channel the token is not stated."""
        effects: list[Effect] = []
        if row.encrypted_with:
            effects = self.merge((row,))
        elif (kept := self._keep(row)) is not None:
            effects.append(Deliver((kept,)))
        self._advance(row.version, effects)
        return effects

    def receive_token(self, version: Version, token: str) -> list[Effect]:
        """Adopt the token of the car's key, as `ET` names it."""
        effects: list[Effect] = []
        self._keep_token(version, token, effects, is_repeated=True)
        self._advance(version, effects)
        return effects

    def receive_other(self, version: Version) -> list[Effect]:
        """Note a message that is not a state: a notification or an answer to a command."""
        effects: list[Effect] = []
        self._advance(version, effects)
        return effects

    def receive_position(self, version: Version) -> list[Effect]:
        """Compare the position with that of the car's replica, which it publishes where something may have been lost."""
        effects: list[Effect] = []
        self._step(Event.CONFIRMED if version <= self.position else Event.DIVERGED, effects)
        return effects

    def _advance(self, version: Version, effects: list[Effect]) -> None:
        session, number = self.position
        if version[1] == number + 1 and version[0] == session and session:
            self.position = version
        elif version[0] > session:
            self._extend_run(version)
            self._step(Event.LATER_SESSION, effects)
        elif version <= self.position:
            self._step(Event.KNOWN, effects)
        else:
            self._jump(version, effects)

    def _jump(self, version: Version, effects: list[Effect]) -> None:
        self._step(Event.AHEAD, effects)
        if self.phase is Phase.READING:
            self.position = version  # it is not complete up to there, but the next jump is another one

    def _extend_run(self, version: Version) -> None:
        session, first, last = self._run
        if version == (session, last + 1):
            self._run = session, first, last + 1
        elif version > (session, last):
            self._run = version.session, version.number, version.number

    # ---- subscription and presence

    def subscribed(self) -> list[Effect]:
        """Note that messages are received from now on: at first, and again after the subscription was lost."""
        return self._after(Event.SUBSCRIBED)

    def unsubscribed(self) -> list[Effect]:
        """Note that the subscription was lost."""
        return self._after(Event.UNSUBSCRIBED)

    def receive_presence(self, session: int) -> list[Effect]:
        """Note the car's session, 0 where it is not connected to another replica."""
        is_same, self._session = session == self._session, session
        return self._after(Event.SAME_SESSION if is_same else Event.OTHER_SESSION)

    def check(self) -> list[Effect]:
        """Look for what was lost without a sign of it; called every minute."""
        return self._after(Event.CHECK)

    def overdue(self) -> list[Effect]:
        """Prepare a provisional snapshot; called when a watcher has waited for a second."""
        return self._after(Event.OVERDUE)

    def car_connected(self, position: Version, token: str, rows: Sequence[Row]) -> list[Effect]:
        """Go on with a car that is connected to this replica.

        Args:
            position: its session, and how many messages of it have a number so far; those that follow are received.
            token: that of its key, empty outside paranoid mode.
            rows: those that this replica has not committed.
        """
        effects = self.merge(rows)
        self._keep_token(position, token, effects, is_repeated=False)
        self._step(Event.CAR_CONNECTED, effects)
        self.position, self._session = position, position.session
        return effects

    def car_disconnected(self) -> list[Effect]:
        """Go on after the car has disconnected from this replica."""
        return self._after(Event.CAR_DISCONNECTED)

    # ---- results of requests

    def located(self, request: int, replica: str, session: int) -> list[Effect]:
        """Ask a replica next, or read PostgreSQL where there is none to ask.

        Args:
            request: that of `Locate`.
            replica: it has the car's newest session, or had it and lives; empty where there is no such replica.
            session: the session, 0 where the car is not connected.
        """
        if request != self._request:
            return self._after(Event.STALE)
        self._replica, self._session = replica, session
        return self._after(Event.LOCATED if replica else Event.NOT_LOCATED)

    def answered(self, request: int, answer: Answer) -> list[Effect]:
        """Merge the answer of a replica, and read PostgreSQL next."""
        effects = self.merge(answer.rows)
        if request != self._request:
            return effects + self._after(Event.STALE)
        self._keep_token(answer.position, answer.token, effects, is_repeated=False)
        self._step(Event.ANSWERED, effects)
        self.position = answer.position
        self._catch_up(effects)
        return effects

    def _catch_up(self, effects: list[Effect]) -> None:
        """Move the position on over what was received between the question and the answer."""
        session, first, last = self._run
        if session > self.position.session:
            self._step(Event.LATER_SESSION, effects)
        elif session == self.position.session and session:
            received = Version(session, last)
            if first > self.position.number + 1:
                self._jump(received, effects)
            self.position = max(self.position, received)

    def timed_out(self, request: int) -> list[Effect]:
        """Look for the car's replica again, since the one that was asked has not answered."""
        return self._after(Event.TIMED_OUT if request == self._request else Event.STALE)

    def stored(self, request: int, rows: Sequence[Row], token: str | None = None) -> list[Effect]:
        """Merge the rows in PostgreSQL, and complete the view if it waits for them.

        Args:
            request: that of `Read`.
            rows: the valid rows of the vehicle.
            token: that of the vehicle, which has no version: it counts where no replica has a newer one; None: it was not read.
        """
        effects: list[Effect] = []
        has_no_session = request == self._request and not (self.position.session or self._is_repeated)
        if token not in (None, self.token) and (has_no_session or self._token_version == NO_VERSION):
            self.token = token
            effects.append(DeliverToken(token))
        effects += self.merge(rows)
        is_early = self._take_early_read(request)
        if request == self._request:
            self._complete(effects)
        else:
            self._step(Event.STALE, effects)
            if is_early:
                effects.append(Snapshot(is_provisional=True))
        return effects

    def _complete(self, effects: list[Effect]) -> None:
        session = self.position.session
        if self.phase is Phase.READING and (self._is_repeated or session < self._session):
            self._step(Event.INCOMPLETE, effects)
            return
        self._session = session
        self._step(Event.COMPLETE if session else Event.COMPLETE_WITHOUT_SESSION, effects)

    def unavailable(self, request: int) -> list[Effect]:
        """Repeat a request that Redis or PostgreSQL did not execute."""
        effects: list[Effect] = [Snapshot(is_provisional=True)] if self._take_early_read(request) else []
        self._step(Event.UNAVAILABLE if request == self._request else Event.STALE, effects)
        return effects

    def _take_early_read(self, request: int) -> bool:
        if request != self._early_read:
            return False
        self._early_read = 0
        return True

    # ---- transitions

    def _after(self, event: Event) -> list[Effect]:
        effects: list[Effect] = []
        self._step(event, effects)
        return effects

    def _step(self, event: Event, effects: list[Effect]) -> None:
        step = TRANSITIONS.get((self.phase, event))
        if step is None:
            raise StateError(f"a view that is {self.phase.name} cannot take {event.name}")
        if step.phase is not self.phase:
            self.phase, self._request = step.phase, 0
            if step.phase is Phase.UNSUBSCRIBED:
                self.position = NO_VERSION
        for action in step.actions:
            self._perform(action, effects)

    def _perform(self, action: Action, effects: list[Effect]) -> None:
        match action:
            case Action.SUBSCRIBE:
                effects.append(Subscribe())
            case Action.UNSUBSCRIBE:
                effects.append(Unsubscribe())
            case Action.LOCATE:
                self._is_repeated, self.position = False, NO_VERSION
                effects.append(Locate(self._new_request()))
            case Action.ASK:
                self._run = (0, 0, 0)
                effects.append(Ask(self._new_request(), self._replica))
            case Action.READ:
                effects.append(Read(self._new_request()))
            case Action.READ_EARLY:
                self._read_early(effects)
            case Action.SNAPSHOT:
                self._early_read = 0
                effects.append(Snapshot())
            case Action.REPORT_MISSED:
                effects.append(Missed())
            case Action.REPEAT:
                self._is_repeated = True

    def _new_request(self) -> int:
        self._request = next(self._numbers)
        return self._request

    def _read_early(self, effects: list[Effect]) -> None:
        if self._early_read:
            return
        if self.phase in (Phase.READING, Phase.LOCAL_READING):
            self._early_read = self._request  # should it fail
        else:
            self._early_read = next(self._numbers)
            effects.append(Read(self._early_read))
