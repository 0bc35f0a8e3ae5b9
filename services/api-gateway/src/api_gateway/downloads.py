"""Bounds long answers: each holds a page of rows for as long as its reader takes."""

from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Final

from api_gateway.errors import TooManyDownloads

MOST: Final = 2
"""Long answers of one credential at a time."""


class Downloads:
    """Counts the long answers that are being sent, by credential."""

    def __init__(self) -> None:
        self._open: Counter[Hashable] = Counter()

    @contextmanager
    def opened(self, credential: Hashable) -> Iterator[None]:
        """Count a long answer while the block runs.

        Raises:
            TooManyDownloads: the credential has as many as it may.
        """
        if self._open[credential] >= MOST:
            raise TooManyDownloads
        self._open[credential] += 1
        try:
            yield
        finally:
            self._open[credential] -= 1
            if not self._open[credential]:
                del self._open[credential]
