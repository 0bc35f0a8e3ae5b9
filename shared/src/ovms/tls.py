"""TLS of the public ports: what is offered, and a certificate that can change while sessions go on.

A handshake takes the certificate that is current when it begins; a session keeps the one that it began with.
"""

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from ovms.errors import OvmsError

CERTIFICATE: Final = "OVMS_TLS_CERTIFICATE"
KEY: Final = "OVMS_TLS_KEY"

HANDSHAKE_TIMEOUT: Final = 60.0
"""Seconds, as long as a module waits for its answer: a slow line is not hurried."""
SHUTDOWN_TIMEOUT: Final = 2.0
"""Seconds that a peer has to answer the end of a session; nothing is lost where it does not."""
LOOK_EVERY: Final = 3.0

# mbedTLS as the modules build it has all of these (sdkconfig: ECDHE with RSA or ECDSA, GCM). Key exchange by RSA alone has no
# forward secrecy, CBC has padding oracles: neither is needed by anybody who speaks TLS 1.2. TLS 1.3 has a list of its own.
_CIPHERS_OF_TLS_1_2: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"

_Stamp = tuple[tuple[int, int, int] | None, ...]


class TlsError(OvmsError):
    """A certificate or a key cannot be used; the message is one line and names the file."""


class Tls:
    """A context for servers, and the two files that its certificate comes from.

    Args:
        log: a structlog logger; None: the one that the service has configured.

    Raises:
        TlsError: the files cannot be used.
    """

    def __init__(self, certificate: Path, key: Path, log: Any = None) -> None:
        self._certificate = certificate
        self._key = key
        self._stamp = self._look()
        self._current = self.context = load(certificate, key)
        # OpenSSL calls this for every handshake, with a name or without; what it leaves in place belongs together, where
        # loading new files into a context in use could leave a certificate without its key.
        self.context.sni_callback = self._present
        self._log = log or structlog.get_logger("tls")

    def reload(self) -> None:
        """Take the files as they are now; where they cannot be used, the pair in use stays."""
        self._stamp = self._look()
        try:
            self._current = load(self._certificate, self._key)
            self._log.info("new certificate", expires=expiry(self._certificate))
        except TlsError as error:
            self._log.error("the new certificate cannot be used, the old one stays", reason=str(error))

    async def watch(self, every: float = LOOK_EVERY) -> None:
        """Reload whenever a file has changed, until cancelled."""
        while True:
            await asyncio.sleep(every)
            if self._look() != self._stamp:
                self.reload()

    def _present(self, session: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        if self._current is not self.context:
            session.context = self._current

    def _look(self) -> _Stamp:
        """What changes when a file does, also where it is a link that now leads elsewhere."""
        return tuple(map(_stamp, (self._certificate, self._key)))


def open_tls(certificate: str, key: str, log: Any = None) -> Tls | None:
    """TLS with these files; None where neither is given.

    Raises:
        TlsError: one is given without the other, or they cannot be used.
    """
    if not certificate and not key:
        return None
    if not certificate or not key:
        given, missing = (CERTIFICATE, KEY) if certificate else (KEY, CERTIFICATE)
        raise TlsError(f"{given} is given without {missing}")
    return Tls(Path(certificate), Path(key), log)


def load(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context with a certificate, its chain and its key. No ALPN: HTTP/2 spells `set-cookie` so, which clients do not find.

    Raises:
        TlsError: a file cannot be read, is no PEM, or they do not belong together.
    """
    chain = _read_chain(certificate)
    if _read_key(key).public_key() != chain[0].public_key():
        raise TlsError(f"{KEY}={key}: not the key of the first certificate in {certificate}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS_OF_TLS_1_2)
    try:
        context.load_cert_chain(certificate, key, password="")  # without one it would ask at the terminal
    except OSError as error:  # what OpenSSL will not have, such as a key that is too short
        raise TlsError(f"{CERTIFICATE}={certificate}: {getattr(error, 'reason', None) or error.strerror}") from error
    return context


def expiry(certificate: Path) -> str:
    """When a certificate ends, for people.

    Raises:
        TlsError: it cannot be read.
    """
    return _read_chain(certificate)[0].not_valid_after_utc.isoformat()


def _read_chain(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(CERTIFICATE, path))
    except ValueError:
        raise TlsError(f"{CERTIFICATE}={path}: no certificate in PEM form") from None


def _read_key(path: Path) -> Any:
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a passphrase
        return serialization.load_pem_private_key(_read(KEY, path), None)
    raise TlsError(f"{KEY}={path}: no private key in PEM form without a passphrase")


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsError(f"{name}={path}: {error.strerror}") from None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
