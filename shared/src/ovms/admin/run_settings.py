"""What `ovms run` takes from the environment."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Self

from ovms.admin.errors import InputError
from ovms.admin.target import REDIS_URL, SECRET_KEYS, database_url
from ovms.auth.published import is_loopback
from ovms.local.ports import free_ports
from ovms.tls import CERTIFICATE, KEY
from ovms.workers import MOST_WORKERS

_V2_PORT: Final = "OVMS_V2_PORT"
_HTTP_PORT: Final = "OVMS_HTTP_PORT"
_V2_TLS_PORT: Final = "OVMS_V2_TLS_PORT"
_HTTPS_PORT: Final = "OVMS_HTTPS_PORT"
_HEALTH_PORT: Final = "OVMS_HEALTH_PORT"
_WORKERS: Final = "OVMS_WORKERS"
_DRAIN_TIMEOUT: Final = "OVMS_DRAIN_TIMEOUT"
_HEALTH_HOST: Final = "127.0.0.1"
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (recognised, not bound to)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Where to listen, whether to show a demo car, and what is there already."""

    host: str
    v2_port: int
    http_port: int
    v2_tls_port: int
    https_port: int
    health_port: int
    """That of the first worker; those of the others follow."""
    workers: int
    drain_timeout: float
    demo: bool
    """Whether to run the demo: by default on loopback alone."""
    certificate: str
    key: str
    """Files; both empty: a certificate is to be made."""
    database_url: str | None = field(repr=False)
    redis_url: str | None = field(repr=False)
    secret_keys: str | None = field(repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables.

        Raises:
            InputError: a value is none that its variable can have, or two ports are the same.
        """
        workers = _workers(environment)
        host = environment.get("OVMS_HOST") or "127.0.0.1"
        public = {
            "v2_port": _port(environment, _V2_PORT, 6867),
            "http_port": _port(environment, _HTTP_PORT, 6868),
            "v2_tls_port": _port(environment, _V2_TLS_PORT, 6870),
            "https_port": _port(environment, _HTTPS_PORT, 6869),
        }
        settings = cls(
            host=host,
            **public,
            # Nobody types the internal ports: free ones let any number of stacks run on one machine.
            health_port=_port(environment, _HEALTH_PORT, 0) or free_ports(workers, besides=public.values()),
            workers=workers,
            drain_timeout=_seconds(environment, _DRAIN_TIMEOUT, 60.0),
            demo=_flag(environment, "OVMS_DEMO", default=_is_loopback(host)),
            certificate=environment.get(CERTIFICATE) or "",
            key=environment.get(KEY) or "",
            database_url=database_url(environment),
            redis_url=environment.get(REDIS_URL) or None,
            secret_keys=environment.get(SECRET_KEYS) or None,
        )
        if len({port for _, port, _ in settings.ports()}) < len(settings.ports()):
            names = dict.fromkeys(name for name, *_ in settings.ports())
            raise InputError(f"{', '.join(names)} must be ports of their own")
        return settings

    def ports(self) -> tuple[tuple[str, int, str], ...]:
        """Each port: the variable that sets it, its number, the address it is bound to."""
        return (
            (_V2_PORT, self.v2_port, self.host),
            (_HTTP_PORT, self.http_port, self.host),
            (_V2_TLS_PORT, self.v2_tls_port, self.host),
            (_HTTPS_PORT, self.https_port, self.host),
            *((_HEALTH_PORT, self.health_port + worker, _HEALTH_HOST) for worker in range(self.workers)),
        )

    def for_services(self) -> dict[str, str]:
        """The variables that tell the services where to listen."""
        ports = {name: str(port) for name, port, _ in self.ports()} | {_HEALTH_PORT: str(self.health_port)}
        return {"OVMS_HOST": self.host, "OVMS_HEALTH_HOST": _HEALTH_HOST, **ports}

    @property
    def is_public(self) -> bool:
        """Whether it listens on another address than loopback."""
        return not _is_loopback(self.host)

    @property
    def health_url(self) -> str:
        """Where car-protocol says that it is ready."""
        return f"http://{_HEALTH_HOST}:{self.health_port}/readyz"

    @property
    def reachable_host(self) -> str:
        """Where a program on this machine finds what listens on `host`."""
        return _EVERY_ADDRESS.get(self.host, self.host)

    @property
    def http_url(self) -> str:
        return f"http://{self._url_host}:{self.http_port}"

    @property
    def https_url(self) -> str:
        return f"https://{self._url_host}:{self.https_port}"

    @property
    def _url_host(self) -> str:
        return f"[{self.reachable_host}]" if ":" in self.reachable_host else self.reachable_host


def _is_loopback(host: str) -> bool:
    return host == "localhost" or is_loopback(host)


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise InputError(f"{name}={text}: not a port")
    return int(text)


def _workers(environment: Mapping[str, str]) -> int:
    text = environment.get(_WORKERS) or "1"
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_WORKERS:
        raise InputError(f"{_WORKERS}={text}: not a number from 1 to {MOST_WORKERS}")
    return int(text)


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name) or str(default)
    with suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise InputError(f"{name}={text}: not a number of seconds")


def _flag(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = environment.get(name) or ("1" if default else "0")
    if text not in ("0", "1"):
        raise InputError(f"{name}={text}: neither 0 nor 1")
    return text == "1"
