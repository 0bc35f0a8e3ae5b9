"""A table of contents: where the fixtures are."""

import signal

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = (
    "fixtures.servers",
    "fixtures.outages",
    "fixtures.mariadb",
    "fixtures.cars",
    "fixtures.processes",
    "fixtures.demo",
    "fixtures.delays",
    "fixtures.installed",
)


# A busy machine is not a fault of the code: no example is compared with a clock.
settings.register_profile("without clocks", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("without clocks")


def pytest_configure(config: pytest.Config) -> None:
    """Heed SIGINT, so that all do that tests start: who is run in the background by a shell inherits that it is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
