"""What the environment says."""

from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from api_gateway.edge.addresses import read_networks
from ovms.stores import DatabaseUrl, RedisUrl
from ovms.workers import MOST_WORKERS


class Settings(BaseSettings):
    """All settings of this service; built once, in `__main__`, and handed on in parts."""

    model_config = SettingsConfigDict(env_prefix="OVMS_", frozen=True, extra="ignore", hide_input_in_errors=True)

    database_url: DatabaseUrl = Field(description="PostgreSQL, postgresql://…; commas between several hosts")
    redis_url: RedisUrl = Field(description="Redis or Valkey: redis://…, rediss://… or unix://…, or redis+sentinel://…")
    secret_keys: SecretStr = Field(
        description="Keys for secrets at rest: id:base64 of 32 bytes, commas between; the first seals"
    )
    host: str = Field("127.0.0.1", description="The address that the public ports bind to")
    http_port: int = Field(6868, ge=0, le=65535, description="The port of the API, plain HTTP")
    https_port: int = Field(6869, ge=0, le=65535, description="The same over TLS; open where there are certificate and key")
    tls_certificate: str = Field("", description="A PEM file: the certificate, then those it rests on")
    tls_key: str = Field("", description="A PEM file: its private key, without a passphrase")
    api_session_timeout: float = Field(360, gt=0, description="Seconds that an HTTP session lives unless renewed")
    timeout_answer: float = Field(
        50, gt=0, description="Seconds that a call waits for a car; less than timeout_command of its replica"
    )
    command_days: int = Field(90, ge=1, description="Days that commands are kept after their end")
    cors_origins: str = Field("*", description="Origins that browsers may call from: *, or a list with commas, or empty")
    hsts: int = Field(
        0,
        ge=0,
        description="Seconds of Strict-Transport-Security, which holds for all ports of this host; 0: it is not sent",
    )
    trusted_proxies: str = Field(
        "", description="Networks of proxies whose X-Forwarded-For is believed, CIDR, with commas; empty: none"
    )
    sign_up: bool = Field(False, description="Whether everybody may make an account")
    rate_limit: int = Field(6000, ge=0, description="Calls of /api/v1 a minute with one credential; 0: no limit")
    rate_limit_legacy: int = Field(120_000, ge=0, description="The same of the legacy /api")
    event_heartbeat: float = Field(
        15, gt=0, description="Seconds between signs of life on a stream of events, and between looks at who may have it"
    )
    event_streams: int = Field(5000, ge=1, description="Streams of events that may be open in one process")
    event_streams_of_caller: int = Field(50, ge=1, description="Of those, with one password or API token")
    http_connections: int = Field(
        8000, ge=1, description="Connections past which none is accepted: new ones wait until some have gone"
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_vehicle_ids: bool = Field(False, description="Whether the log has the ids of vehicles, apps and users as they are")
    health_host: str = Field("127.0.0.1", description="The address that /metrics binds to")
    gateway_metrics_port: int | None = Field(
        None, ge=0, le=65535, description="Prometheus metrics; worker k (from 0) has this plus k; unset: none"
    )
    otlp_endpoint: str = Field(
        "", description="An OpenTelemetry collector, http://host:4318, for traces; none are made without"
    )
    trace_ratio: float = Field(0.01, ge=0, le=1, description="Of calls, how many are traced where there are traces")
    workers: int = Field(1, ge=1, le=MOST_WORKERS, description="Processes on the same ports, each with connections of its own")

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, setting: str) -> str:
        read_networks(setting)
        return setting

    def shared_ports(self) -> dict[str, int]:
        """The settings of the ports that several workers listen on, and their values."""
        if self.workers == 1:
            return {}
        return {"http_port": self.http_port} | ({"https_port": self.https_port} if self.tls_certificate else {})

    def of_worker(self, number: int) -> Self:
        """The settings of one of several workers."""
        port = self.gateway_metrics_port
        return self.model_copy(update={"gateway_metrics_port": port and port + number})
