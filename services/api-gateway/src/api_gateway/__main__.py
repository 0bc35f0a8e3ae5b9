"""Run the service: `python -m api_gateway`."""

import logging
import socket
import sys

import uvloop
from pydantic import ValidationError

from api_gateway.app import create_app
from api_gateway.edge.server import Https, listen, make_server
from api_gateway.logs import ToStructlog, make_log
from api_gateway.metrics import Metrics, serve_metrics
from api_gateway.settings import Settings
from ovms.errors import OvmsError
from ovms.garbage import collect_garbage_seldom
from ovms.tls import TlsError, open_tls


def main() -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status."""
    try:
        settings = Settings()
    except ValidationError as error:
        return _fail(_missing(error))
    log = make_log(settings.log_level)
    try:
        tls = open_tls(settings.tls_certificate, settings.tls_key, log)
        listener = _listen(settings.host, settings.http_port)
        https = Https(_listen(settings.host, settings.https_port), tls) if tls is not None else None
    except (TlsError, CannotListen) as error:
        return _fail(str(error))
    logging.getLogger().addHandler(ToStructlog(log))
    metrics = None
    if settings.gateway_metrics_port is not None:
        metrics = Metrics()
        serve_metrics(metrics, settings.host, settings.gateway_metrics_port)
    server = make_server(create_app(settings, log, metrics), https=https)
    log.info("listening", host=settings.host, port=listener.getsockname()[1])
    if https is not None:
        log.info("listening with TLS", host=settings.host, port=https.listener.getsockname()[1])
    collect_garbage_seldom()
    uvloop.run(server.serve(sockets=[listener]))
    log.info("stopped")
    return 0


class CannotListen(OvmsError):
    """A port cannot be had."""


def _listen(host: str, port: int) -> socket.socket:
    try:
        return listen(host, port)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host} port {port}: {error.strerror}") from None


def _fail(reason: str) -> int:
    sys.stderr.write(f"api-gateway: {reason}\n")
    return 1


def _missing(error: ValidationError) -> str:
    """The settings that are wrong, by name: values may be secret."""
    wrong = {f"OVMS_{str(fault['loc'][0]).upper()} ({fault['msg']})" for fault in error.errors(include_input=False)}
    return "wrong settings: " + ", ".join(sorted(wrong))


if __name__ == "__main__":
    sys.exit(main())
