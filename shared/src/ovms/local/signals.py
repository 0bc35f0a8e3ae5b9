"""The wish to stop, as signals bring it: noted, and looked at where nothing is half done."""

import signal
import time
from types import FrameType
from typing import Final, Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL: Final = 0.05


class StopSignals:
    """A context manager: inside it SIGINT, SIGTERM and SIGHUP do no more than set `received`.

    A handler that raises could do so between the start of a child and the note of its process id, and the child would stay.
    """

    def __init__(self) -> None:
        self.received = False

    def __enter__(self) -> Self:
        self._former = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def pause(self) -> None:
        """Wait for a moment, between two looks at whatever is waited for."""
        if not self.received:
            time.sleep(_POLL)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.received = True
