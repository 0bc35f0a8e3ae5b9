"""Run the service: `python -m api_gateway`."""

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from typing import Any

import uvloop
from pydantic import ValidationError

from api_gateway.app import DISTRIBUTION, create_app
from api_gateway.edge.addresses import Proxies, read_networks
from api_gateway.edge.server import Https, listen, make_server
from api_gateway.metrics import Metrics, serve_metrics
from api_gateway.settings import Settings
from ovms import wrong_settings
from ovms.db.schema import SchemaBehind, check_schema
from ovms.db.sealing import Sealer, SealingError
from ovms.errors import OvmsError
from ovms.garbage import collect_garbage_seldom
from ovms.listening import HeldPort
from ovms.logs import ToStructlog, make_log
from ovms.open_files import fit_connections
from ovms.redaction import Redactor
from ovms.stores import store_addresses
from ovms.telemetry import TracesUnavailable, open_traces
from ovms.tls import TlsError, open_tls
from ovms.variables import UnknownVariable, check_variables
from ovms.workers import run_workers


def main() -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status: 1 where it cannot start, 2 where a setting is wrong."""
    try:
        check_variables(os.environ)
        settings = Settings()
        sealer = Sealer.from_setting(settings.secret_keys.get_secret_value())
    except (ValidationError, UnknownVariable) as error:
        _fail(wrong_settings.describe(error))
        return wrong_settings.STATUS
    except SealingError as error:
        return _fail(str(error))
    stores = store_addresses(settings.database_url, settings.redis_url)
    log = make_log(
        "api-gateway", settings.log_level, Redactor(None if settings.log_vehicle_ids else sealer.pseudonym), stores=stores
    )
    try:
        asyncio.run(check_schema(settings.database_url.get_secret_value()))
    except SchemaBehind as error:
        return _fail(str(error))
    with ExitStack() as held:
        try:
            shared = {
                name: held.enter_context(HeldPort(settings.host, port)).number for name, port in settings.shared_ports().items()
            }
        except OSError as error:
            return _fail(error.strerror or str(error))
        work = partial(_work, settings.model_copy(update=shared), sealer, log)
        return run_workers(settings.workers, work, log)


def _work(settings: Settings, sealer: Sealer, log: Any, number: int, has_started: Callable[[], None]) -> int:
    settings = settings.of_worker(number)
    try:
        tls = open_tls(settings.tls_certificate, settings.tls_key, log)
        listener = _listen(settings, settings.http_port)
        https = Https(_listen(settings, settings.https_port), tls) if tls is not None else None
        metrics = _metrics(settings)
        traces = open_traces("api-gateway", version(DISTRIBUTION), settings.otlp_endpoint, settings.trace_ratio)
    except (TlsError, CannotListen, TracesUnavailable) as error:
        return _fail(str(error))
    logging.getLogger().addHandler(ToStructlog(log))
    # It warns of every malformed form, with a byte of it: a stranger could fill the log.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    server = make_server(
        create_app(settings, sealer, log, metrics, traces),
        fit_connections(settings.http_connections, "OVMS_HTTP_CONNECTIONS", log),
        log,
        Proxies(read_networks(settings.trusted_proxies)).trusts,
        https=https,
        has_started=has_started,
    )
    log.info("listening", host=settings.host, port=listener.getsockname()[1])
    if https is not None:
        log.info("listening with TLS", host=settings.host, port=https.listener.getsockname()[1])
    collect_garbage_seldom()
    uvloop.run(server.serve(sockets=[listener]))
    if traces is not None:
        traces.close()
    log.info("stopped")
    return 0


class CannotListen(OvmsError):
    """A port cannot be had."""


def _listen(settings: Settings, port: int) -> socket.socket:
    try:
        return listen(settings.host, port, is_shared=settings.workers > 1)
    except OSError as error:
        raise CannotListen(f"cannot listen on {settings.host} port {port}: {error.strerror}") from None


def _metrics(settings: Settings) -> Metrics | None:
    if (port := settings.gateway_metrics_port) is None:
        return None
    metrics = Metrics(version(DISTRIBUTION))
    try:
        serve_metrics(metrics, settings.health_host, port)
    except OSError as error:
        raise CannotListen(f"cannot listen on {settings.health_host} port {port}: {error.strerror}") from None
    return metrics


def _fail(reason: str) -> int:
    sys.stderr.write(f"api-gateway: {reason}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
