"""What is measured, and the figures that are shown of it: to measure something more is a row here and a function."""

from collections.abc import Iterable, Sequence
from typing import Final

from bench.measurement import Figure, Measurement, Reading
from bench.measurements import bare, fleet, history, idle_memory, latency, limits, logins, messages, reconnect, status

# In the order in which they are measured: what is compared stands together.
MEASUREMENTS: Final = (
    Measurement("rest", idle_memory.measure_rest, in_new_process=True, is_steady=True, profiled=None),
    Measurement(
        "idle",
        idle_memory.measure_idle_memory,
        lambda size: size.idle,
        takes_old_cars=True,
        in_new_process=True,
        is_steady=True,
    ),
    Measurement(
        "idle-tls",
        idle_memory.measure_idle_memory_over_tls,
        lambda size: min(size.idle // 2, 1000),
        takes_old_cars=True,
        is_steady=True,
        profiled=None,
    ),
    Measurement("idle-bare", idle_memory.measure_bare_idle_memory, is_steady=True, profiled=None),
    Measurement("messages", messages.measure_messages, lambda size: size.cars),
    Measurement("decoding", limits.measure_decoding, profiled=None),
    Measurement("watched", messages.measure_watched_messages, lambda size: size.cars),
    Measurement("history", history.measure_history, lambda size: size.cars),
    Measurement("inserts", history.measure_bare_inserts, lambda size: size.cars, profiled=None),
    Measurement(
        "status",
        status.measure_with_cookie,
        status.callers,
        takes_old_cars=True,
        profiled=lambda stack: stack.api_gateway,
    ),
    Measurement(
        "status-password",
        status.measure_with_password,
        status.callers,
        takes_old_cars=True,
        profiled=lambda stack: stack.api_gateway,
    ),
    Measurement("response", bare.measure_bare_response, profiled=None),
    Measurement("logins", logins.measure_logins, lambda size: size.logins),
    Measurement("cryptography", limits.measure_login_cryptography, profiled=None),
    Measurement("fleet", fleet.measure_lateness, lambda size: size.fleet, takes_old_cars=True),
    Measurement("reconnect", reconnect.measure_reconnect, lambda size: size.returning, takes_old_cars=True),
    Measurement("messages-two", messages.measure_messages, lambda size: size.cars, replicas=2),
    Measurement("logins-two", logins.measure_logins, lambda size: size.logins, replicas=2),
    Measurement("app", latency.measure_to_app_here, lambda size: size.latency_cars, replicas=2),
    Measurement("app-elsewhere", latency.measure_to_app_elsewhere, lambda size: size.latency_cars, replicas=2),
    Measurement(
        "events",
        latency.measure_to_event_stream,
        lambda size: size.latency_cars,
        replicas=2,
        profiled=lambda stack: stack.api_gateway,
    ),
)

FIGURES: Final = (
    Figure(
        "messages stored and published",
        Reading("messages", "a second"),
        "messages/s",
        80_000,
        Reading("decoding", "a second"),
        "decoding alone",
        0.19,
        is_guarded=True,
    ),
    Figure(
        "  with a watching app a car",
        Reading("watched", "a second"),
        "messages/s",
        40_000,
        Reading("messages", "a second"),
        "without apps",
    ),
    Figure(
        "history records acknowledged",
        Reading("history", "a second"),
        "records/s",
        30_000,
        Reading("inserts", "a second"),
        "bare batched inserts",
        0.30,
        is_guarded=True,
    ),
    Figure(
        "logins, scheme 0, cold",
        Reading("logins", "a second"),
        "logins/s",
        4_000,
        Reading("cryptography", "a second"),
        "their cryptography alone",
        is_guarded=True,
    ),
    Figure(
        "memory of an idle car",
        Reading("idle", "bytes"),
        "bytes",
        8_000,
        Reading("idle-bare", "bytes"),
        "a bare connection with its ciphers",
        is_less_better=True,
        is_guarded=True,
    ),
    Figure("  over TLS", Reading("idle-tls", "bytes"), "bytes", is_less_better=True),
    Figure("login over TLS, of a core", Reading("idle-tls", "milliseconds"), "ms", is_less_better=True),
    Figure("memory of car-protocol, no cars", Reading("rest", "car-protocol"), "MB", is_less_better=True),
    Figure("memory of api-gateway, no callers", Reading("rest", "api-gateway"), "MB", is_less_better=True),
    Figure(
        "/api/status/{id}, cookie",
        Reading("status", "a second"),
        "requests/s",
        3_500,
        Reading("response", "a second"),
        "a bare FastAPI Response",
        0.45,
        is_guarded=True,
    ),
    Figure(
        "  user and password in the URL",
        Reading("status-password", "a second"),
        "requests/s",
        3_000,
        Reading("response", "a second"),
        "a bare FastAPI Response",
        is_guarded=True,
    ),
    Figure("car to app, p50", Reading("app", "p50"), "ms", is_less_better=True),
    Figure("car to app, p99", Reading("app", "p99"), "ms", 5, is_less_better=True),
    Figure("  app elsewhere, p50", Reading("app-elsewhere", "p50"), "ms", is_less_better=True),
    Figure("  app elsewhere, p99", Reading("app-elsewhere", "p99"), "ms", 15, is_less_better=True),
    Figure("car to event stream, p50", Reading("events", "p50"), "ms", is_less_better=True),
    Figure("car to event stream, p99", Reading("events", "p99"), "ms", 20, is_less_better=True),
    # Of these the worst run counts: they are said of every message, and of every car.
    Figure("large idle fleet, latest message", Reading("fleet", "latest"), "ms", 100, is_less_better=True, of_runs=max),
    Figure("fleet back after all had gone", Reading("reconnect", "seconds"), "s", 5, is_less_better=True, of_runs=max),
    Figure(
        "messages, with a second worker",
        Reading("messages-two", "a second"),
        "messages/s",
        limit=Reading("messages", "a second"),
        limit_title="one worker",
    ),
    Figure(
        "logins, with a second worker",
        Reading("logins-two", "a second"),
        "logins/s",
        limit=Reading("logins", "a second"),
        limit_title="one worker",
    ),
)


def guarded() -> frozenset[str]:
    """The measurements that what may not drop is made of."""
    figures = [figure for figure in FIGURES if figure.is_guarded]
    return frozenset(reading.measurement for figure in figures for reading in (figure.of, figure.limit) if reading)


def chosen(names: Iterable[str]) -> Sequence[Measurement]:
    """These measurements, and the limits that their figures are compared with; all where no name is given."""
    wanted = set(names)
    if not wanted:
        return MEASUREMENTS
    limits_of = {figure.limit.measurement for figure in FIGURES if figure.limit and figure.of.measurement in wanted}
    return [measurement for measurement in MEASUREMENTS if measurement.name in wanted | limits_of]
