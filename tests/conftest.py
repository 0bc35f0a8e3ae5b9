"""A table of contents: where the fixtures are."""

pytest_plugins = (
    "fixtures.servers",
    "fixtures.cluster",
    "fixtures.outages",
    "fixtures.mariadb",
    "fixtures.cars",
    "fixtures.processes",
    "fixtures.demo",
)
