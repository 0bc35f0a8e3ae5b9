"""Run the service: `python -m api_gateway`."""

import logging
import sys

import uvloop
from pydantic import ValidationError

from api_gateway.app import create_app
from api_gateway.edge.server import listen, make_server
from api_gateway.logs import ToStructlog, make_log
from api_gateway.metrics import Metrics, serve_metrics
from api_gateway.settings import Settings


def main() -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status."""
    try:
        settings = Settings()
    except ValidationError as error:
        return _fail(_missing(error))
    try:
        listener = listen(settings.host, settings.http_port)
    except OSError as error:
        return _fail(f"cannot listen on {settings.host} port {settings.http_port}: {error.strerror}")
    log = make_log(settings.log_level)
    logging.getLogger().addHandler(ToStructlog(log))
    metrics = None
    if settings.gateway_metrics_port is not None:
        metrics = Metrics()
        serve_metrics(metrics, settings.host, settings.gateway_metrics_port)
    server = make_server(create_app(settings, log, metrics))
    log.info("listening", host=settings.host, port=listener.getsockname()[1])
    uvloop.run(server.serve(sockets=[listener]))
    log.info("stopped")
    return 0


def _fail(reason: str) -> int:
    sys.stderr.write(f"api-gateway: {reason}\n")
    return 1


def _missing(error: ValidationError) -> str:
    """The settings that are wrong, by name: values may be secret."""
    wrong = {f"OVMS_{str(fault['loc'][0]).upper()} ({fault['msg']})" for fault in error.errors(include_input=False)}
    return "wrong settings: " + ", ".join(sorted(wrong))


if __name__ == "__main__":
    sys.exit(main())
