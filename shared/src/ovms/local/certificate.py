"""The certificate of one machine, for development: self-signed, made when there is none and renewed before it ends."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ovms.local.datadir import write_private
from ovms.local.errors import LocalError
from ovms.tls import TlsError, load

LIFETIME: Final = timedelta(days=365)
RENEW_BEFORE: Final = timedelta(days=30)
NAMES: Final = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
)


def development_certificate(directory: Path, now: datetime) -> tuple[Path, Path]:
    """The files of a certificate and of its key in `directory`; good for more than `RENEW_BEFORE` from `now` on.

    Raises:
        LocalError: they cannot be written.
    """
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    if not _is_good(certificate, key, now):
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            _make(certificate, key, now)
        except OSError as error:
            raise LocalError(f"{directory}: {error.strerror}") from error
    return certificate, key


def _is_good(certificate: Path, key: Path, now: datetime) -> bool:
    try:
        load(certificate, key)
    except TlsError:
        return False
    return x509.load_pem_x509_certificate(certificate.read_bytes()).not_valid_after_utc > now + RENEW_BEFORE


def _make(certificate: Path, key: Path, now: datetime) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    signed = _describe(private, now).sign(private, hashes.SHA256())
    write_private(
        key,
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )
    write_private(certificate, signed.public_bytes(serialization.Encoding.PEM).decode())


def _describe(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.CertificateBuilder:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - timedelta(hours=1))
        .not_valid_after(now.astimezone(UTC) + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(NAMES), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
