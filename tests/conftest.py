"""A table of contents: where the fixtures are."""

import signal

import pytest

pytest_plugins = (
    "fixtures.servers",
    "fixtures.cluster",
    "fixtures.outages",
    "fixtures.mariadb",
    "fixtures.cars",
    "fixtures.processes",
    "fixtures.demo",
    "fixtures.installed",
)


def pytest_configure(config: pytest.Config) -> None:
    """Heed SIGINT, so that all do that tests start: who is run in the background by a shell inherits that it is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
