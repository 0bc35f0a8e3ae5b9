"""Ports of this machine."""

import socket

import pytest

from ovms.local.errors import LocalError, PortBusy
from ovms.local.ports import check_port, free_port, free_ports


def test_a_free_port_is_free() -> None:
    check_port("127.0.0.1", free_port(), "OVMS_V2_PORT")


def test_a_port_in_use_names_its_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(PortBusy, match="OVMS_V2_PORT"):
        check_port("127.0.0.1", other.getsockname()[1], "OVMS_V2_PORT")


def test_an_address_of_another_machine_is_said() -> None:
    with pytest.raises(LocalError, match=r"192\.0\.2\.1 port"):
        check_port("192.0.2.1", free_port(), "OVMS_V2_PORT")


def test_free_ports_are_in_a_row() -> None:
    first = free_ports(3)
    for port in range(first, first + 3):
        check_port("127.0.0.1", port, "OVMS_HEALTH_PORT")


def test_a_port_is_not_given_twice_while_nobody_listens_on_it_yet() -> None:
    given = [free_port() for _ in range(200)]
    assert len(set(given)) == len(given)


def test_a_port_that_another_setting_names_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    choices = iter([20_000, 20_001, 20_002])
    monkeypatch.setattr("ovms.local.ports.secrets.choice", lambda _: next(choices))
    assert free_ports(1, besides=(20_000, 20_001)) == 20_002
