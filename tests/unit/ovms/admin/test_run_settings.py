"""What `ovms run` takes from the environment."""

import pytest

from ovms.admin.errors import InputError
from ovms.admin.run import programs_of_the_server
from ovms.admin.run_settings import RunSettings


def test_without_variables_it_listens_on_this_machine_only() -> None:
    settings = RunSettings.from_environment({})
    assert (settings.host, settings.v2_port, settings.http_port, settings.demo) == ("127.0.0.1", 6867, 6868, True)
    assert (settings.v2_tls_port, settings.https_port) == (6870, 6869)
    assert (settings.tls_certificate, settings.tls_key) == ("", "")
    assert settings.health_port not in (0, 6867, 6868, 6869, 6870)
    assert (settings.database_url, settings.redis_url, settings.secret_keys) == (None, None, None)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"OVMS_V2_PORT": "x"}, "OVMS_V2_PORT .*valid integer"),
        ({"OVMS_HTTP_PORT": "65536"}, "OVMS_HTTP_PORT .*less than or equal to 65535"),
        ({"OVMS_V2_TLS_PORT": "x", "OVMS_WORKERS": "0"}, "OVMS_V2_TLS_PORT .*, OVMS_WORKERS "),
        ({"OVMS_HTTPS_PORT": "-1"}, "OVMS_HTTPS_PORT .*greater than or equal to 0"),
        ({"OVMS_HTTP_PORT": "6867"}, "must be ports of their own"),
        ({"OVMS_HTTPS_PORT": "6870"}, "must be ports of their own"),
        ({"OVMS_DEMO": "perhaps"}, "OVMS_DEMO .*valid boolean"),
        ({"OVMS_WORKERS": "65"}, "OVMS_WORKERS .*less than or equal to 64"),
        ({"OVMS_WORKERS": "two"}, "OVMS_WORKERS .*valid integer"),
        ({"OVMS_WORKERS": "2", "OVMS_HEALTH_PORT": "6866"}, "OVMS_HEALTH_PORT must be ports of their own"),
        ({"OVMS_DRAIN_TIMEOUT": "long"}, "OVMS_DRAIN_TIMEOUT .*valid number"),
        ({"OVMS_DRAIN_TIMEOUT": "0"}, "OVMS_DRAIN_TIMEOUT .*greater than 0"),
        ({"OVMS_DATABASE_URL": "mysql://h/d"}, "OVMS_DATABASE_URL: not of the form postgresql://"),
        ({"OVMS_DRAIN_TIMEOUT": "inf"}, "OVMS_DRAIN_TIMEOUT .*finite number"),
    ],
)
def test_a_wrong_variable_is_named(environment: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RunSettings.from_environment(environment)


@pytest.mark.parametrize(
    ("host", "shown"),
    [("", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("192.0.2.7", "192.0.2.7")],
)
def test_the_address_to_show_is_one_that_answers(host: str, shown: str) -> None:
    settings = RunSettings.from_environment({"OVMS_HOST": host})
    assert (settings.http_url, settings.https_url) == (f"http://{shown}:6868", f"https://{shown}:6869")


def test_secrets_are_not_shown() -> None:
    environment = {"OVMS_DATABASE_URL": "postgresql://u:secret@h/d", "OVMS_REDIS_URL": "secret", "OVMS_SECRET_KEYS": "secret"}
    assert "secret" not in repr(RunSettings.from_environment(environment))


def test_every_worker_has_an_internal_port() -> None:
    settings = RunSettings.from_environment({"OVMS_WORKERS": "3", "OVMS_HEALTH_PORT": "7000"})
    assert [port for name, port, _ in settings.ports() if name == "OVMS_HEALTH_PORT"] == [7000, 7001, 7002]
    assert settings.for_services()["OVMS_HEALTH_PORT"] == "7000"


def test_stopping_may_take_as_long_as_the_drain() -> None:
    settings = RunSettings.from_environment({"OVMS_DRAIN_TIMEOUT": "90.5"})
    [car_protocol, *_] = programs_of_the_server(settings, {}, demo=None)
    assert car_protocol.stop_timeout > 90.5


@pytest.mark.parametrize(
    ("environment", "demo", "is_public"),
    [
        ({}, True, False),
        ({"OVMS_HOST": "localhost"}, True, False),
        ({"OVMS_HOST": "::1"}, True, False),
        ({"OVMS_DEMO": "0"}, False, False),
        ({"OVMS_HOST": "0.0.0.0"}, False, True),
        ({"OVMS_HOST": "::"}, False, True),
        ({"OVMS_HOST": "192.0.2.7"}, False, True),
        ({"OVMS_HOST": "example.org"}, False, True),
        ({"OVMS_HOST": "0.0.0.0", "OVMS_DEMO": "1"}, True, True),
    ],
)
def test_off_loopback_the_demo_runs_only_where_it_is_asked_for(
    environment: dict[str, str], demo: bool, is_public: bool
) -> None:
    settings = RunSettings.from_environment(environment)
    assert (settings.demo, settings.is_public) == (demo, is_public)
