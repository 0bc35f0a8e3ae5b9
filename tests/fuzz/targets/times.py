"""The `since` of history: any text names a moment."""

from datetime import UTC

from ovms.times import EVERYTHING, read_since, write_seconds, write_time


def check(data: bytes) -> None:
    moment = read_since(data.decode("utf-8", "replace"))
    assert moment.tzinfo is UTC
    written = write_time(moment)
    if moment.year >= 1000:  # four digits, as the pattern asks for
        assert read_since(written) == moment.replace(microsecond=0)
        if 1970 <= moment.year <= 2200:
            assert write_seconds(int(moment.timestamp())) == written
    assert moment >= EVERYTHING
