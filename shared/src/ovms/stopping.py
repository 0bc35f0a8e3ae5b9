"""The end of a process: its signals, tasks that lose a cancellation, and a last resort that needs no event loop."""

import asyncio
import faulthandler
import signal
from collections.abc import Callable, Iterable
from typing import Any, Final

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
SAME_REQUEST: Final = 1.0
"""Seconds in which further signals are the first request: a terminal or systemd may signal a group whose parent forwards it."""
CANCEL_EVERY: Final = 0.25
CANCEL_WITHIN: Final = 1.0
"""Seconds for tasks that are cancelled to end."""


def on_stop_signal(stop: Callable[[], None], *, within: float) -> None:
    """Call `stop` at SIGTERM or SIGINT. From then on the process ends within a time, and at once at another signal.

    A process that has not ended in time writes the stacks of its threads to standard error and exits with status 1. That is a
    thread of C code, which needs neither the event loop nor the interpreter's lock.

    Args:
        within: seconds, more than a stop takes at most.
    """
    loop = asyncio.get_running_loop()

    def begin() -> None:
        faulthandler.dump_traceback_later(within, exit=True)
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, lambda: None)
        loop.call_later(SAME_REQUEST, _let_signals_end)
        stop()

    def _let_signals_end() -> None:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, begin)


def raise_if_cancelled() -> None:
    """Raise CancelledError where this task is cancelled and the cancellation was lost.

    A cancellation is lost where a connection breaks in the same moment: a task group raises the error of its child instead
    (Python 3.11), as does a `finally` that gives a broken connection back, and `asyncio.wait_for` may return (Python 3.11).
    Not for a task that has itself waited for a task group whose child failed: Python 3.11 leaves it marked as cancelled.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def sleep_unless_cancelled(seconds: float) -> None:
    """Sleep between two steps of a loop that catches errors; a task whose cancellation such an error has replaced ends here."""
    raise_if_cancelled()
    await asyncio.sleep(seconds)


async def end_tasks(tasks: Iterable[asyncio.Task[Any]], *, within: float = CANCEL_WITHIN) -> set[asyncio.Task[Any]]:
    """Cancel tasks until they have ended, again and again for a time; returns those that have not."""
    running = {task for task in tasks if not task.done()}
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + within
    while running and (left := ends_at - loop.time()) > 0:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=min(CANCEL_EVERY, left))
    return running
