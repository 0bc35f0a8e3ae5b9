"""TLS of the public ports: what is offered, and certificates that change."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from fixtures.certificates import Pair, another_pair, curious, old, pair
from fixtures.waiting import until
from ovms.tls import Tls, TlsError, load, open_tls

LIFETIME = datetime(2026, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)

__all__ = ["another_pair", "pair"]


class Session:
    """Both ends of a TLS session, without a socket between them."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext, name: str | None) -> None:
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(down, up, server_hostname=name)
        self.server = server.wrap_bio(up, down, server_side=True)
        client_done = server_done = False
        while not (client_done and server_done):
            client_done = client_done or _step(self.client)
            server_done = server_done or _step(self.server)

    @property
    def certificate(self) -> bytes | None:
        return self.client.getpeercert(binary_form=True)

    def carries(self, data: bytes) -> bool:
        self.client.write(data)
        self.server.write(self.server.read())
        return self.client.read() == data


def _step(end: ssl.SSLObject) -> bool:
    with contextlib.suppress(ssl.SSLWantReadError):
        end.do_handshake()
        return True
    return False


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_clients_of_today_and_of_tls_1_2_are_served(pair: Pair, version: ssl.TLSVersion) -> None:
    client = pair.trusted()
    client.minimum_version = client.maximum_version = version
    session = Session(Tls(pair.certificate, pair.key).context, client, "127.0.0.1")
    assert session.certificate == pair.der
    assert session.carries(b"MP-S")


def test_what_came_before_tls_1_2_is_refused(pair: Pair) -> None:
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        Session(load(pair.certificate, pair.key), old(), "localhost")


def test_the_certificates_that_ours_rests_on_are_shown(tmp_path: Path) -> None:
    """A module knows the root alone: Let's Encrypt signs with a certificate that the root has signed."""
    root, between, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    trusted = certificate("root", root, "root", root)
    shown = certificate("localhost", leaf, "between", between) + certificate("between", between, "root", root)
    ours = Pair(tmp_path / "certificate.pem", tmp_path / "key.pem")
    ours.certificate.write_bytes(shown)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    ours.key.write_bytes(leaf.private_bytes(encoding, form, serialization.NoEncryption()))

    client = ssl.create_default_context(cadata=trusted.decode())
    assert Session(Tls(ours.certificate, ours.key).context, client, "localhost").carries(b"MP-S")

    ours.certificate.write_bytes(certificate("localhost", leaf, "between", between))
    with pytest.raises(ssl.SSLCertVerificationError):
        Session(Tls(ours.certificate, ours.key).context, client, "localhost")


def certificate(of: str, key: ec.EllipticCurvePrivateKey, by: str, signer: ec.EllipticCurvePrivateKey) -> bytes:
    """One in PEM form, for a server or for who signs others."""
    subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (of, by))
    unsigned = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), *LIFETIME)
    unsigned = unsigned.add_extension(x509.BasicConstraints(ca=of != "localhost", path_length=None), critical=True)
    unsigned = unsigned.add_extension(x509.SubjectAlternativeName([x509.DNSName(of)]), critical=False)
    return unsigned.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256"])
def test_only_suites_with_forward_secrecy_and_without_padding(pair: Pair, cipher: str) -> None:
    client = curious()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(cipher)
    with pytest.raises(ssl.SSLError, match="NO_SHARED_CIPHER"):
        Session(load(pair.certificate, pair.key), client, "localhost")


def test_http_2_is_not_offered(pair: Pair) -> None:
    client = pair.trusted()
    client.set_alpn_protocols(["h2", "http/1.1"])
    session = Session(load(pair.certificate, pair.key), client, "localhost")
    assert session.client.selected_alpn_protocol() is None


# ---- files that cannot be used


def with_passphrase(pair: Pair) -> None:
    key = cast("Any", serialization.load_pem_private_key(pair.key.read_bytes(), None))
    sealed = serialization.BestAvailableEncryption(b"hush")
    pair.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealed))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda pair: pair.certificate.unlink(), "OVMS_TLS_CERTIFICATE={certificate}: No such file or directory"),
        (lambda pair: pair.key.unlink(), "OVMS_TLS_KEY={key}: No such file or directory"),
        (lambda pair: pair.certificate.write_text("hush"), "OVMS_TLS_CERTIFICATE={certificate}: no certificate in PEM form"),
        (lambda pair: pair.certificate.write_text(""), "OVMS_TLS_CERTIFICATE={certificate}: no certificate in PEM form"),
        (lambda pair: pair.key.write_text("hush"), "OVMS_TLS_KEY={key}: no private key in PEM form without a passphrase"),
        (with_passphrase, "OVMS_TLS_KEY={key}: no private key in PEM form without a passphrase"),
        (
            lambda pair: pair.certificate.write_text(pair.key.read_text()),
            "OVMS_TLS_CERTIFICATE={certificate}: no certificate in PEM form",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named(pair: Pair, spoil: Callable[[Pair], object], message: str) -> None:
    spoil(pair)
    with pytest.raises(TlsError) as caught:
        Tls(pair.certificate, pair.key)
    assert str(caught.value) == message.format(certificate=pair.certificate, key=pair.key)


def test_a_key_of_another_certificate_is_named(pair: Pair, another_pair: Pair) -> None:
    with pytest.raises(TlsError) as caught:
        Tls(pair.certificate, another_pair.key)
    expected = f"OVMS_TLS_KEY={another_pair.key}: not the key of the first certificate in {pair.certificate}"
    assert str(caught.value) == expected


def test_a_key_that_openssl_finds_too_short_is_one_line(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    unsigned = x509.CertificateBuilder(name, name, key.public_key(), 1, *LIFETIME)
    weak = Pair(tmp_path / "certificate.pem", tmp_path / "key.pem")
    weak.certificate.write_bytes(unsigned.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    weak.key.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))

    with pytest.raises(TlsError) as caught:
        load(weak.certificate, weak.key)
    assert str(caught.value) == f"OVMS_TLS_CERTIFICATE={weak.certificate}: EE_KEY_TOO_SMALL"


def test_one_file_is_not_enough(pair: Pair) -> None:
    assert open_tls("", "") is None
    assert open_tls(str(pair.certificate), str(pair.key)) is not None
    with pytest.raises(TlsError, match="OVMS_TLS_CERTIFICATE is given without OVMS_TLS_KEY"):
        open_tls(str(pair.certificate), "")
    with pytest.raises(TlsError, match="OVMS_TLS_KEY is given without OVMS_TLS_CERTIFICATE"):
        open_tls("", str(pair.key))


# ---- certificates that change


@pytest.mark.parametrize("name", ["localhost", None])
def test_a_reload_is_for_new_sessions(pair: Pair, another_pair: Pair, name: str | None) -> None:
    tls, before = Tls(pair.certificate, pair.key), pair.der
    session = Session(tls.context, curious(), name)
    pair.become(another_pair)

    assert Session(tls.context, curious(), name).certificate == before
    tls.reload()

    assert Session(tls.context, curious(), name).certificate == another_pair.der
    assert session.certificate == before
    assert session.carries(b"still here")


def test_what_is_offered_stays_as_it_was(pair: Pair, another_pair: Pair) -> None:
    tls = Tls(pair.certificate, pair.key)
    pair.become(another_pair)
    tls.reload()
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        Session(tls.context, old(), "localhost")


def test_a_new_pair_that_cannot_be_used_is_said_and_left(pair: Pair, another_pair: Pair) -> None:
    tls, before = Tls(pair.certificate, pair.key), pair.der
    pair.certificate.write_bytes(another_pair.certificate.read_bytes())

    with capture_logs() as logs:
        tls.reload()

    assert [line["log_level"] for line in logs] == ["error"]
    assert logs[0]["reason"] == f"OVMS_TLS_KEY={pair.key}: not the key of the first certificate in {pair.certificate}"
    assert Session(tls.context, curious(), None).certificate == before


@contextlib.asynccontextmanager
async def watching(tls: Tls) -> Any:
    task = asyncio.create_task(tls.watch(every=0))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_change_of_the_files_is_seen_once_both_belong_together(pair: Pair, another_pair: Pair) -> None:
    tls = Tls(pair.certificate, pair.key)
    with capture_logs() as logs:
        async with watching(tls):
            pair.key.write_bytes(another_pair.key.read_bytes())
            await until(lambda: logs)
            pair.certificate.write_bytes(another_pair.certificate.read_bytes())
            await until(lambda: logs[-1]["log_level"] == "info")
    assert [line["event"] for line in logs][-1] == "new certificate"
    assert Session(tls.context, curious(), None).certificate == another_pair.der


async def test_a_link_that_leads_elsewhere_is_a_change(pair: Pair, another_pair: Pair, tmp_path: Path) -> None:
    live = tmp_path / "live"
    live.symlink_to(pair.certificate.parent)
    tls = Tls(live / pair.certificate.name, live / pair.key.name)
    async with watching(tls):
        link = tmp_path / "new"
        link.symlink_to(another_pair.certificate.parent)
        link.rename(live)
        await until(lambda: Session(tls.context, curious(), None).certificate == another_pair.der)


async def test_files_that_are_away_for_a_while_are_missed_once(pair: Pair) -> None:
    tls, before = Tls(pair.certificate, pair.key), pair.der
    kept = pair.key.read_bytes()
    with capture_logs() as logs:
        async with watching(tls):
            pair.key.unlink()
            await until(lambda: logs)
            for _ in range(10):
                await asyncio.sleep(0)
            assert len(logs) == 1
            pair.key.write_bytes(kept)
            await until(lambda: len(logs) > 1)
    assert Session(tls.context, curious(), None).certificate == before
