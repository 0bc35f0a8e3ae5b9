# api-gateway. The context is the top of the checkout: docker build -f deploy/images/api-gateway.Dockerfile .
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
COPY requirements/api-gateway.txt requirements/traces.txt ./
RUN --mount=type=bind,source=deploy/images/wheels,target=/wheels \
    /opt/ovms/bin/pip install --find-links /wheels --require-hashes --no-deps -r api-gateway.txt ${TRACES:+-r traces.txt}
COPY shared shared
COPY services/api-gateway services/api-gateway
RUN /opt/ovms/bin/pip install --no-deps --no-build-isolation ./shared ./services/api-gateway \
    && /opt/ovms/bin/pip uninstall --yes setuptools pip

FROM ${RUNTIME}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="api-gateway" \
      org.opencontainers.image.description="OVMS server: the HTTP API" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/ovms /opt/ovms
ENV PATH=/opt/ovms/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OVMS_HOST=0.0.0.0 \
    OVMS_HTTP_PORT=6868
WORKDIR /opt/ovms
USER 10001:10001
EXPOSE 6868 6869
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:%s/livez' % os.environ['OVMS_HTTP_PORT'], timeout=4)"]
ENTRYPOINT ["python", "-m", "api_gateway"]
