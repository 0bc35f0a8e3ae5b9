"""Every overlay renders, is what Kubernetes takes, and keeps to our own policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest
import yaml

from fixtures.manifests import KUBERNETES, OVERLAYS, Manifests, of_kind, pods, rendered
from unit.deploy.policy import faults

OLDEST = "1.30"
"""The first with `preStop.sleep` unless it is switched on."""
NEWEST = "1.37"
CUSTOM = {"Certificate", "Cluster", "PrometheusRule", "ServiceMonitor"}
"""Kinds of operators, which no schema at hand describes."""


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_what_kubernetes_takes(overlay: str, version: str) -> None:
    for manifest in rendered(overlay):
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_validation_finds_what_kubernetes_does_not_know() -> None:
    deployment = of_kind(rendered("trial"), "Deployment")[0]
    deployment["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, NEWEST, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_keeps_to_the_policy(overlay: str) -> None:
    assert faults(rendered(overlay)) == []


def test_the_gateway_behind_an_ingress_trusts_its_controller() -> None:
    for overlay in OVERLAYS:
        [settings] = [
            each["data"]
            for each in of_kind(rendered(overlay), "ConfigMap")
            if each["metadata"]["name"].startswith("api-gateway")
        ]
        assert ("OVMS_TRUSTED_PROXIES" in settings) == bool(of_kind(rendered(overlay), "Ingress")), overlay


def test_every_component_is_in_an_overlay() -> None:
    files = KUBERNETES.glob("overlays/*/kustomization.yaml")
    used = {component.rpartition("/")[2] for file in files for component in yaml.safe_load(file.read_text())["components"]}
    assert used == {path.name for path in (KUBERNETES / "components").iterdir()}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_cars_keep_their_address(overlay: str) -> None:
    balanced = [each for each in of_kind(rendered(overlay), "Service") if each["spec"].get("type") == "LoadBalancer"]
    assert "car-protocol" in {service["metadata"]["name"] for service in balanced}
    assert {service["spec"]["externalTrafficPolicy"] for service in balanced} == {"Local"}


def test_what_was_acknowledged_is_on_two_servers_of_three() -> None:
    [cluster] = of_kind(rendered("cloudnative-pg"), "Cluster")
    assert cluster["spec"]["postgresql"]["synchronous"] == {"method": "any", "number": 1}
    assert cluster["spec"]["instances"] == 3, "one that is gone holds no commit up"


def test_an_autoscaler_alone_says_how_many_there_are() -> None:
    manifests = rendered("production")
    scaled = {each["spec"]["scaleTargetRef"]["name"] for each in of_kind(manifests, "HorizontalPodAutoscaler")}
    assert scaled == {"car-protocol", "api-gateway"}
    assert all("replicas" not in each["spec"] for each in of_kind(manifests, "Deployment"))


def test_cloudnative_pg_says_where_the_database_is() -> None:
    sources = {
        variable["valueFrom"]["secretKeyRef"]["name"]
        for pod in pods(rendered("cloudnative-pg"))
        for container in pod.containers
        for variable in container.get("env", [])
        if variable["name"] == "OVMS_DATABASE_URL"
    }
    assert sources == {"postgresql-app"}


def container(manifests: Manifests, name: str) -> dict[str, Any]:
    return next(each for pod in pods(manifests) for each in pod.containers if each["name"] == name)


def made(manifests: Manifests, kind: str, name: str) -> dict[str, Any]:
    return next(each for each in of_kind(manifests, kind) if each["metadata"]["name"] == name)


def pod_of(manifests: Manifests, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = next(pod.spec for pod in pods(manifests) if pod.name == name)
    return spec


def settings(manifests: Manifests) -> dict[str, str]:
    data: dict[str, str] = next(each["data"] for each in of_kind(manifests, "ConfigMap") if "OVMS_V2_PORT" in each["data"])
    return data


SPOILED: list[tuple[str, Callable[[Manifests], object]]] = [
    (
        "car-protocol/car-protocol: no limits of cpu and memory",
        lambda m: container(m, "car-protocol")["resources"].pop("limits"),
    ),
    (
        "api-gateway/schema: no requests of cpu and memory",
        lambda m: container(m, "schema")["resources"].pop("requests"),
    ),
    (
        "car-protocol: may hold 3,730 MB, above its limit of memory",
        lambda m: settings(m).update(OVMS_CONNECTIONS="60000"),
    ),
    (
        "api-gateway: may hold 570 MB, above its limit of memory",
        lambda m: container(m, "api-gateway")["resources"]["limits"].update(memory="512Mi"),
    ),
    (
        "car-protocol: requests less memory than it takes without anybody",
        lambda m: container(m, "car-protocol")["resources"]["requests"].update(memory="64Mi"),
    ),
    (
        "migration: may run as root",
        lambda m: pod_of(m, "migration").update(securityContext={"seccompProfile": {"type": "RuntimeDefault"}}),
    ),
    (
        "valkey: no seccomp profile",
        lambda m: pod_of(m, "valkey")["securityContext"].pop("seccompProfile"),
    ),
    (
        "valkey: holds a token of Kubernetes, which it has no use for",
        lambda m: pod_of(m, "valkey").pop("automountServiceAccountToken"),
    ),
    (
        "migration: uses what is the node's",
        lambda m: pod_of(m, "migration").update(hostNetwork=True),
    ),
    (
        "api-gateway/api-gateway: not restricted",
        lambda m: container(m, "api-gateway")["securityContext"].pop("capabilities"),
    ),
    (
        "there is no policy that denies everything",
        lambda m: m.remove(made(m, "NetworkPolicy", "deny-all")),
    ),
    (
        "car-protocol: a Service leads to port 6867, which no policy lets in to",
        lambda m: m.remove(made(m, "NetworkPolicy", "car-protocol")),
    ),
    (
        "car-protocol: a policy lets in to port -1, which it does not have",
        lambda m: container(m, "car-protocol")["ports"].pop(0),
    ),
    (
        "car-protocol: everybody may reach port health",
        lambda m: made(m, "NetworkPolicy", "car-protocol")["spec"]["ingress"].append(
            {"ports": [{"protocol": "TCP", "port": 6880}]}
        ),
    ),
    (
        "api-gateway: has OVMS_REDIS_URL, and no policy lets it out to port 6379",
        lambda m: m.remove(made(m, "NetworkPolicy", "to-valkey")),
    ),
    (
        "car-protocol/car-protocol: there is no setting OVMS_V3_PORT",
        lambda m: settings(m).update(OVMS_V3_PORT="1"),
    ),
    (
        "car-protocol/car-protocol: v2_port: Input should be a valid integer",
        lambda m: settings(m).update(OVMS_V2_PORT="many"),
    ),
    (
        "api-gateway/api-gateway: OVMS_DATABASE_URL is missing",
        lambda m: container(m, "api-gateway")["env"].pop(0),
    ),
    (
        "migration/migration: ovms knows no OVMS_REDIS_URL",
        lambda m: container(m, "migration")["env"].append({"name": "OVMS_REDIS_URL", "value": "x"}),
    ),
    (
        "ovms is a Secret",
        lambda m: m.append({"kind": "Secret", "metadata": {"name": "ovms"}}),
    ),
    (
        "api-gateway: OVMS_SECRET_KEYS is written down",
        lambda m: container(m, "api-gateway")["env"].append({"name": "OVMS_SECRET_KEYS", "value": "k1:AAAA"}),
    ),
    (
        "car-protocol: ends before others know that it does",
        lambda m: container(m, "car-protocol").pop("lifecycle"),
    ),
    (
        "car-protocol: needs 85 s to end",
        lambda m: pod_of(m, "car-protocol").update(terminationGracePeriodSeconds=84),
    ),
    (
        "api-gateway: needs 35 s to end",
        lambda m: pod_of(m, "api-gateway").pop("terminationGracePeriodSeconds"),
    ),
    (
        "car-protocol: OVMS_DRAIN_TIMEOUT is too short for OVMS_CONNECTIONS at OVMS_DRAIN_RATE",
        lambda m: settings(m).update(OVMS_CONNECTIONS="22000"),
    ),
    (
        "car-protocol: a rollout takes some away first",
        lambda m: made(m, "Deployment", "car-protocol")["spec"]["strategy"]["rollingUpdate"].update(maxUnavailable=1),
    ),
    (
        "api-gateway: no PodDisruptionBudget",
        lambda m: m.remove(made(m, "PodDisruptionBudget", "api-gateway")),
    ),
    (
        "api-gateway: may all be on one node",
        lambda m: pod_of(m, "api-gateway").pop("topologySpreadConstraints"),
    ),
    (
        "api-gateway: no startupProbe",
        lambda m: container(m, "api-gateway").pop("startupProbe"),
    ),
    (
        "api-gateway: is restarted for what others do",
        lambda m: container(m, "api-gateway")["livenessProbe"]["httpGet"].update(path="/readyz"),
    ),
]


@pytest.mark.parametrize(("fault", "spoil"), SPOILED, ids=[fault for fault, _ in SPOILED])
def test_the_policy_finds(fault: str, spoil: Callable[[Manifests], object]) -> None:
    manifests = rendered("trial")
    spoil(manifests)
    assert any(found.startswith(fault) for found in faults(manifests))
