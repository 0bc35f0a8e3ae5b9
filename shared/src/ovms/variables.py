"""The names of all variables that this project reads, so that a misspelt one is an error and not ignored.

Either service rejects a name that neither knows, so that both can have the same environment. A test compares this list with the
settings classes and with `.env.example`.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from ovms.errors import OvmsError

PREFIX: Final = "OVMS_"

OF_SERVICES: Final = frozenset(
    {
        "OVMS_API_SESSION_TIMEOUT",
        "OVMS_APNS_KEY",
        "OVMS_APNS_KEY_ID",
        "OVMS_APNS_TEAM_ID",
        "OVMS_APNS_TOPIC",
        "OVMS_APNS_URL",
        "OVMS_AUDIT_DAYS",
        "OVMS_COMMAND_DAYS",
        "OVMS_CONNECTIONS",
        "OVMS_CORS_ORIGINS",
        "OVMS_DATABASE_CONNECTIONS",
        "OVMS_DATABASE_URL",
        "OVMS_DRAIN_RATE",
        "OVMS_DRAIN_TIMEOUT",
        "OVMS_ERROR_CODES",
        "OVMS_EVENT_HEARTBEAT",
        "OVMS_EVENT_STREAMS",
        "OVMS_EVENT_STREAMS_OF_CALLER",
        "OVMS_EXPO",
        "OVMS_EXPO_TOKEN",
        "OVMS_EXPO_URL",
        "OVMS_FCM_CREDENTIALS",
        "OVMS_FCM_URL",
        "OVMS_GATEWAY_METRICS_PORT",
        "OVMS_HEALTH_HOST",
        "OVMS_HEALTH_PORT",
        "OVMS_HOST",
        "OVMS_HSTS",
        "OVMS_HTTP_CONNECTIONS",
        "OVMS_HTTPS_PORT",
        "OVMS_HTTP_PORT",
        "OVMS_KNOWN_VEHICLES",
        "OVMS_LOGINS_PER_ADDRESS",
        "OVMS_LOGIN_CONNECTIONS",
        "OVMS_LOG_LEVEL",
        "OVMS_LOG_VEHICLE_IDS",
        "OVMS_MAIL_FROM",
        "OVMS_MAIL_HOST",
        "OVMS_MAIL_PASSWORD",
        "OVMS_MAIL_PORT",
        "OVMS_MAIL_SECURITY",
        "OVMS_MAIL_USER",
        "OVMS_MESSAGES_PER_SECOND",
        "OVMS_NOTIFICATION_DAYS",
        "OVMS_OTLP_ENDPOINT",
        "OVMS_PENDING_BYTES",
        "OVMS_PING_AGAIN",
        "OVMS_PING_MARGIN",
        "OVMS_PUBLIC_URL",
        "OVMS_PUBLISH_BYTES",
        "OVMS_PUBLISH_TICK",
        "OVMS_PUSH_ATTEMPTS",
        "OVMS_PUSH_PER_MINUTE",
        "OVMS_PUSH_REPEAT",
        "OVMS_RATE_LIMIT",
        "OVMS_RATE_LIMIT_LEGACY",
        "OVMS_REDIS_URL",
        "OVMS_SECRET_KEYS",
        "OVMS_SIGN_UP",
        "OVMS_STATE_HISTORY",
        "OVMS_STATE_TICK",
        "OVMS_TIMEOUT_ANSWER",
        "OVMS_TIMEOUT_APP",
        "OVMS_TIMEOUT_BATCH",
        "OVMS_TIMEOUT_CAR",
        "OVMS_TIMEOUT_COMMAND",
        "OVMS_TIMEOUT_HOLD",
        "OVMS_TIMEOUT_WELCOME",
        "OVMS_TLS_CERTIFICATE",
        "OVMS_TLS_KEY",
        "OVMS_TRACE_RATIO",
        "OVMS_TRACK_DAYS",
        "OVMS_TRACK_INTERVAL",
        "OVMS_TRAFFIC_DAYS",
        "OVMS_TRUSTED_PROXIES",
        "OVMS_USER_LOGIN_IN_CLEAR",
        "OVMS_V2_PORT",
        "OVMS_V2_TLS_PORT",
        "OVMS_WEBHOOK_PRIVATE",
        "OVMS_WEBHOOK_SECRET",
        "OVMS_WORKERS",
        "OVMS_WRITE_BUFFER",
    }
)
OF_RUN: Final = frozenset({"OVMS_DATA_DIR", "OVMS_DEMO", "OVMS_ENV_FILE", "OVMS_REFERENCE_URL"})
"""Of `ovms run` and the other commands."""
OF_CLIENT: Final = frozenset({"OVMS_API_TOKEN", "OVMS_API_TOKEN_FILE", "OVMS_API_URL"})
"""Of `ovms status`, `watch` and `command`."""
OF_SIMULATOR: Final = frozenset({"OVMS_DEMO_HOST", "OVMS_DEMO_PASSWORD", "OVMS_DEMO_SEED", "OVMS_DEMO_VEHICLE"})
OF_COMPOSE: Final = frozenset({"OVMS_ADDRESS", "OVMS_TLS"})
"""What the Compose files read from their own `.env`."""

KNOWN: Final = OF_SERVICES | OF_RUN | OF_CLIENT | OF_SIMULATOR | OF_COMPOSE

# Of the tests; and what Kubernetes and Docker set where a Service or a container is called `ovms`.
_OF_OTHERS: Final = re.compile(r"OVMS_(TEST_\w+|PORT(_\w+)?|SERVICE_\w+)")


class UnknownVariable(OvmsError):
    """A variable of the environment has a name that this project does not know."""


def check_variables(names: Iterable[str]) -> None:
    """Check that all names that start with `OVMS_` are known.

    Raises:
        UnknownVariable: some are not; the message names the nearest known ones and holds no value.
    """
    ours = sorted(name for name in names if name.startswith(PREFIX))
    if unknown := [name for name in ours if name not in KNOWN and not _OF_OTHERS.fullmatch(name)]:
        raise UnknownVariable("; ".join(map(_explain, unknown)))


def _explain(name: str) -> str:
    nearest = get_close_matches(name.removeprefix(PREFIX), sorted(known.removeprefix(PREFIX) for known in KNOWN), n=1)
    hint = f"did you mean {PREFIX}{nearest[0]}?" if nearest else ".env.example lists all settings"
    return f"{name} is not a setting: {hint}"
