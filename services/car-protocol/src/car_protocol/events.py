"""Events inside this process: the part that raises one does not know the parts that handle it, which may be made later."""

from collections.abc import Callable
from typing import Generic, ParamSpec

P = ParamSpec("P")


class Event(Generic[P]):
    """One kind of event; raised by calling it."""

    def __init__(self) -> None:
        self._handlers: list[Callable[P, object]] = []

    def subscribe(self, handler: Callable[P, object]) -> None:
        """Call a handler for every event from now on, after those that subscribed before."""
        self._handlers.append(handler)

    def __call__(self, *values: P.args, **named: P.kwargs) -> None:
        """Call all handlers."""
        for handler in self._handlers:
            handler(*values, **named)
