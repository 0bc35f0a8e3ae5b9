"""One target until its time is up: `python -m fuzz.one TARGET [libFuzzer's arguments]`, a process of its own."""

import logging
import sys

import atheris
import structlog

from fuzz.targets import WEIGHTS, load


def main() -> None:
    """Never returns: libFuzzer ends the process, with another status than 0 where it has found something."""
    name = sys.argv.pop(1)
    assert name in WEIGHTS
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with atheris.instrument_imports(
        include=["ovms", "car_protocol", "api_gateway.edge", "api_gateway.legacy", "api_gateway.confirmation"]
    ):
        target = load(name)
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
