"""Calls functions in another process, so that what is being measured shares no interpreter with who measures."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, Self, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Elsewhere:
    """That process.

    Args:
        time_limit: seconds that a call may take.
    """

    def __init__(self, time_limit: float) -> None:
        self._time_limit = time_limit

    def __enter__(self) -> Self:
        self._processes = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if error is not None:  # what it is doing is of no use any more
            for process in multiprocessing.active_children():
                process.terminate()
        self._processes.shutdown(cancel_futures=True)

    def call(self, work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        """Call a function.

        Raises:
            TimeoutError: it has not returned after the time limit.
            Whatever it raises.
        """
        return self._processes.submit(work, *arguments, **named).result(self._time_limit)
