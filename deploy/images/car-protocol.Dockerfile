# car-protocol. The context is the top of the checkout: docker build -f deploy/images/car-protocol.Dockerfile .
# Nothing here depends on the processor: docker buildx build --platform linux/amd64,linux/arm64 …

# Debian 12, as the name says; the digest is that of the index of all platforms (docs/releasing.md renews it).
ARG PYTHON=docker.io/library/python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b
# What the service runs on: the same Python at the same place. No shell and no other program is needed.
ARG RUNTIME=${PYTHON}

FROM ${PYTHON} AS build
# Not empty: install from deploy/images/wheels alone, which `make images` fills.
ARG PIP_NO_INDEX=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python3 -m venv /opt/ovms
# Not empty: with what sends traces (docs/observability.md).
ARG TRACES=
COPY requirements/car-protocol.txt requirements/traces.txt ./
RUN --mount=type=bind,source=deploy/images/wheels,target=/wheels \
    /opt/ovms/bin/pip install --find-links /wheels --require-hashes --no-deps -r car-protocol.txt ${TRACES:+-r traces.txt}
COPY shared shared
COPY services/car-protocol services/car-protocol
RUN /opt/ovms/bin/pip install --no-deps --no-build-isolation ./shared ./services/car-protocol \
    && /opt/ovms/bin/pip uninstall --yes setuptools pip

FROM ${RUNTIME} AS service
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="car-protocol" \
      org.opencontainers.image.description="OVMS server: terminates the vehicle sessions of protocol v2" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/ovms /opt/ovms
ENV PATH=/opt/ovms/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OVMS_HOST=0.0.0.0 \
    OVMS_HEALTH_HOST=0.0.0.0 \
    OVMS_HEALTH_PORT=6880
WORKDIR /opt/ovms
USER 10001:10001
EXPOSE 6867 6870 6880
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:%s/livez' % os.environ['OVMS_HEALTH_PORT'], timeout=4)"]
ENTRYPOINT ["python", "-m", "car_protocol"]

# A car to try the server with: --target demo-car
FROM service AS demo-car
LABEL org.opencontainers.image.title="demo-car" \
      org.opencontainers.image.description="OVMS server: a simulated car"
COPY tests/simulator /opt/demo/simulator
ENV PYTHONPATH=/opt/demo
HEALTHCHECK NONE
ENTRYPOINT ["python", "-m", "simulator"]

FROM service
