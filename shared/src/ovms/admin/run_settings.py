"""What `ovms run` takes from the environment."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ovms.admin.errors import InputError
from ovms.admin.target import DATABASE_URL, database_url
from ovms.auth.published import is_loopback
from ovms.local.ports import free_ports
from ovms.workers import MOST_WORKERS
from ovms.wrong_settings import describe

_V2_PORT: Final = "OVMS_V2_PORT"
_HTTP_PORT: Final = "OVMS_HTTP_PORT"
_V2_TLS_PORT: Final = "OVMS_V2_TLS_PORT"
_HTTPS_PORT: Final = "OVMS_HTTPS_PORT"
_HEALTH_PORT: Final = "OVMS_HEALTH_PORT"
_HEALTH_HOST: Final = "127.0.0.1"
_EVERY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (recognised, not bound to)

Port = Annotated[int, Field(ge=0, le=65535)]


class RunSettings(BaseModel):
    """Where to listen, whether to run the demo, and which stores there are already."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    host: str = "127.0.0.1"
    v2_port: Port = 6867
    http_port: Port = 6868
    v2_tls_port: Port = 6870
    https_port: Port = 6869
    health_port: Port = 0
    """That of the first worker; those of the others follow."""
    workers: Annotated[int, Field(ge=1, le=MOST_WORKERS)] = 1
    drain_timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    demo: bool = False
    """Whether to run the demo: by default on loopback alone."""
    tls_certificate: str = ""
    tls_key: str = ""
    """Files; both empty: a certificate is made."""
    database_url: str | None = Field(None, repr=False)
    redis_url: str | None = Field(None, repr=False)
    secret_keys: str | None = Field(None, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables; an empty one counts as absent.

        Raises:
            InputError: a variable has a value that it cannot have, or two ports are the same.
        """
        given = {field: environment.get(f"OVMS_{field.upper()}") for field in cls.model_fields}
        try:
            return cls.model_validate({field: value for field, value in given.items() if value})
        except ValidationError as error:
            raise InputError(describe(error)) from None

    @model_validator(mode="before")
    @classmethod
    def _set_defaults(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {"demo": _is_loopback(given.get("host", "127.0.0.1")), **given}

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: str) -> str | None:
        return database_url({DATABASE_URL: value})

    @model_validator(mode="after")
    def _check_ports(self) -> Self:
        if not self.health_port:
            # Nobody types the internal ports: free ones let any number of stacks run on one machine.
            public = (self.v2_port, self.http_port, self.v2_tls_port, self.https_port)
            object.__setattr__(self, "health_port", free_ports(self.workers, besides=public))
        if len({port for _, port, _ in self.ports()}) < len(self.ports()):
            raise ValueError(f"{', '.join(dict.fromkeys(name for name, *_ in self.ports()))} must be ports of their own")
        return self

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
