"""Every setting of this service, from the environment."""

from typing import Literal, Self

from pydantic import DirectoryPath, Field, FilePath, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from ovms.protocol import Timeouts
from ovms.stores import DatabaseUrl, RedisUrl
from ovms.workers import MOST_WORKERS


class Settings(BaseSettings):
    """Read once, in the composition root. Times are seconds, sizes bytes."""

    model_config = SettingsConfigDict(env_prefix="OVMS_", frozen=True, hide_input_in_errors=True)

    database_url: DatabaseUrl = Field(
        description="PostgreSQL, as postgresql://user:password@host/database; commas between several hosts"
    )
    redis_url: RedisUrl = Field(description="Redis or Valkey: redis://, rediss:// or unix://, or redis+sentinel://")
    secret_keys: SecretStr = Field(
        description="keys for secrets at rest: id:base64 of 32 bytes, commas between; the first seals"
    )

    host: str = Field("127.0.0.1", description="the address that the public ports bind to")
    v2_port: int = Field(6867, description="protocol v2 over TCP and, as a WebSocket, /apiv2")
    v2_tls_port: int = Field(6870, description="the same over TLS; open where there are a certificate and its key")
    tls_certificate: str = Field("", description="a PEM file: the certificate of the TLS ports, then those it rests on")
    tls_key: str = Field("", description="a PEM file: its private key, without a passphrase")
    health_host: str = Field("127.0.0.1", description="the address that /livez, /readyz and /metrics bind to")
    health_port: int = Field(6880, description="the port of /livez, /readyz and /metrics; worker k (from 0) has this plus k")
    workers: int = Field(1, ge=1, le=MOST_WORKERS, description="processes on the same ports, each with limits of its own")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")
    log_vehicle_ids: bool = Field(False, description="whether the log has the ids of vehicles, apps and users as they are")

    otlp_endpoint: str = Field(
        "", description="an OpenTelemetry collector, http://host:4318, for traces; none are made without"
    )
    trace_ratio: float = Field(0.01, ge=0, le=1, description="of what cars say, how much is traced where there are traces")

    user_login_in_clear: bool = Field(True, description="let users log in with name and password without TLS (scheme 1)")

    timeout_welcome: float = Field(30.0, description="for a peer to log in after connecting")
    timeout_hold: float = Field(75.0, description="the most that a login waits for the databases")
    timeout_car: float = Field(960.0, description="silence of a car before it is let go")
    timeout_app: float = Field(1200.0, description="silence of an app before it is let go")
    timeout_batch: float = Field(120.0, description="silence of a batch client before it is let go")

    ping_margin: float = Field(60.0, description="how long before the end of timeout_car a car is pinged that heard nothing")
    ping_again: float = Field(300.0, description="the least time between two pings")
    timeout_command: float = Field(60.0, description="for a car to answer a command")

    traffic_days: int = Field(90, description="days that the sums of bytes carried are kept")
    audit_days: int = Field(365, ge=1, description="days that the trail of what was done is kept, for owners to read")
    state_history: int = Field(
        86_400,
        ge=0,
        le=366 * 86_400,
        description="seconds that every state message is kept as a history record, at most one per code and second; 0: none is",
    )
    notification_days: int = Field(30, description="days that notifications are kept in the history; 0: none is kept")
    track_days: int = Field(
        30, ge=0, le=36_500, description="days that samples of positions and states are kept; 0: none is taken"
    )
    track_interval: float = Field(5.0, gt=0, description="the least time between two positions of a track")
    error_codes: DirectoryPath | None = Field(None, description="a directory of more error code texts, in the vece format")

    push_per_minute: int = Field(4, ge=1, description="notifications of a car that one phone, mailbox or hook gets in a minute")
    push_repeat: float = Field(120.0, ge=0, description="seconds in which it gets equal ones once, then with their number")
    push_attempts: int = Field(8, ge=1, description="to deliver a notification, over four hours, before it is dropped")
    mail_host: str = Field("", description="an SMTP server; notifications go out by mail where it and mail_from are set")
    mail_port: int = Field(587, description="its port")
    mail_security: Literal["starttls", "tls", "none"] = Field("starttls", description="starttls, tls or none")
    mail_user: str = Field("", description="a user of it, where it asks for one")
    mail_password: SecretStr | None = Field(None, description="the user's password")
    mail_from: str = Field("", description="the sender's address")
    public_url: str = Field(
        "", pattern=r"^(https?://[^\s?#]+)?$", description="where owners reach the HTTP API, for links in mails"
    )
    fcm_credentials: FilePath | None = Field(None, description="a Google service account's file, for Android phones (gcm)")
    fcm_url: str = Field("https://fcm.googleapis.com", description="Firebase Cloud Messaging")
    apns_key: FilePath | None = Field(None, description="an Apple signing key, a .p8 file, for iPhones (apns)")
    apns_key_id: str = Field("", description="its id")
    apns_team_id: str = Field("", description="the team that it is of")
    apns_topic: str = Field("com.openvehicles.ovms", description="the app's bundle id")
    apns_url: str = Field("https://api.push.apple.com", description="Apple Push Notification service")
    expo: bool = Field(True, description="push to apps made with Expo; that needs no account")
    expo_token: SecretStr | None = Field(None, description="an Expo account's access token, where it asks for one")
    expo_url: str = Field("https://exp.host", description="Expo's push service")
    webhook_secret: SecretStr | None = Field(None, description="signs what goes to web hooks; there are none without it")
    webhook_private: bool = Field(False, description="let web hooks lead to private addresses, and over HTTP there")

    state_tick: float = Field(0.03, description="how often what cars sent is written")
    publish_tick: float = Field(0.02, description="the most that what cars sent waits to be published; less where it is little")
    database_connections: int = Field(4, description="connections to PostgreSQL")
    login_connections: int = Field(2, ge=1, description="more of them, for logins alone: whatever holds the others up")
    known_vehicles: int = Field(20_000, ge=0, description="vehicles remembered, to log in while PostgreSQL is away")
    write_buffer: int = Field(256 * 1024, description="unread bytes after which a slow reader is closed")
    pending_bytes: int = Field(256 * 1024 * 1024, description="unwritten bytes after which cars are read no more")
    publish_bytes: int = Field(16 * 1024 * 1024, description="unpublished bytes after which new ones are dropped")

    logins_per_address: int = Field(1000, description="connections of one address that may be logging in at once")
    messages_per_second: int = Field(1000, description="messages of one connection a second; it is read no faster than that")
    connections: int = Field(20_000, description="connections past which none is accepted: new ones wait until some have gone")
    drain_rate: float = Field(500.0, gt=0, description="sessions closed a second when it stops, more where time is short")
    drain_timeout: float = Field(60.0, gt=0, description="the most that stopping may take")

    def shared_ports(self) -> dict[str, int]:
        """The settings of the ports that several workers listen on, and their values."""
        if self.workers == 1:
            return {}
        return {"v2_port": self.v2_port} | ({"v2_tls_port": self.v2_tls_port} if self.tls_certificate else {})

    def of_worker(self, number: int) -> Self:
        """The settings of one of several workers."""
        return self.model_copy(update={"health_port": self.health_port and self.health_port + number})

    def timeouts(self) -> Timeouts:
        """The times of a session."""
        return Timeouts(
            welcome=self.timeout_welcome,
            hold=self.timeout_hold,
            car=self.timeout_car,
            app=self.timeout_app,
            batch=self.timeout_batch,
            ping_margin=self.ping_margin,
            ping_again=self.ping_again,
        )
