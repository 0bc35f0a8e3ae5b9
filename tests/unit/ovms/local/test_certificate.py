"""The certificate that is made for development."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fixtures.certificates import Pair, make_pair, pair
from ovms.local.certificate import development_certificate
from ovms.local.errors import LocalError
from ovms.tls import load

__all__ = ["pair"]

NOW = datetime.now(UTC)


def test_it_is_made_once_and_its_key_is_private(tmp_path: Path) -> None:
    first = make_pair(tmp_path / "tls")
    shown, key = first.der, first.key.read_bytes()

    assert make_pair(tmp_path / "tls") == first

    assert (first.der, first.key.read_bytes()) == (shown, key)
    assert first.key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_clients_that_trust_it_find_the_name_that_they_ask_for(pair: Pair, name: str) -> None:
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = pair.trusted().wrap_bio(down, up, server_hostname=name)
    server = load(pair.certificate, pair.key).wrap_bio(up, down, server_side=True)
    for end in (client, server):
        with pytest.raises(ssl.SSLWantReadError):
            end.do_handshake()
    client.do_handshake()
    assert client.getpeercert(binary_form=True) == pair.der


@pytest.mark.parametrize(("days", "is_kept"), [(365 - 31, True), (365 - 29, False), (400, False)])
def test_it_is_renewed_a_month_before_its_end(tmp_path: Path, days: int, *, is_kept: bool) -> None:
    first = make_pair(tmp_path, NOW).der
    assert (make_pair(tmp_path, NOW + timedelta(days=days)).der == first) is is_kept


@pytest.mark.parametrize("spoilt", ["certificate", "key"])
@pytest.mark.parametrize("how", ["gone", "garbage", "another"])
def test_what_cannot_be_used_is_made_anew(tmp_path: Path, spoilt: str, how: str) -> None:
    first = make_pair(tmp_path / "tls")
    file: Path = getattr(first, spoilt)
    if how == "gone":
        file.unlink()
    elif how == "garbage":
        file.write_text("garbage")
    else:
        file.write_bytes(getattr(make_pair(tmp_path / "another"), spoilt).read_bytes())

    development_certificate(tmp_path / "tls", NOW)

    load(first.certificate, first.key)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file")
    with pytest.raises(LocalError, match=r"tls: \w"):
        development_certificate(tmp_path / "tls", NOW)
