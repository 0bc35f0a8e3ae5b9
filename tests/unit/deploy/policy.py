"""What must be so of all manifests; each rule gives one line a fault, and none where all is well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings

import api_gateway.settings
import car_protocol.settings
from car_protocol.drain import SESSIONS_BY
from fixtures.manifests import Manifests, Pod, of_kind, pods, variables

SETTINGS: Final[dict[str, type[BaseSettings]]] = {
    "car-protocol": car_protocol.settings.Settings,
    "api-gateway": api_gateway.settings.Settings,
}
# Of the `ovms` command, which has no such class.
ADMINISTRATION: Final = {"OVMS_DATABASE_URL", "OVMS_SECRET_KEYS"}
SECRET: Final = {"OVMS_DATABASE_URL": "postgresql://", "OVMS_REDIS_URL": "redis://"}
"""What stands for a secret, where any text will not do."""
PUBLIC: Final = {"v2", "v2-tls", "http", "https"}
STORES: Final = {"OVMS_DATABASE_URL": 5432, "OVMS_REDIS_URL": 6379}
MARGIN: Final = 10
"""Seconds that a node may be slow."""
GATEWAY_GRACE: Final = 10


@dataclass(frozen=True, slots=True)
class Needs:
    """What a service takes of memory, in bytes, as docs/scaling.md has measured it."""

    rest: float
    each: dict[str, float]
    """Of one of what a setting allows so many."""


NEEDS: Final = {
    "car-protocol": Needs(85e6, {"connections": 56e3, "pending_bytes": 1, "publish_bytes": 1}),
    "api-gateway": Needs(140e6, {"event_streams": 86e3}),
}

Rule = Callable[[Manifests], Iterator[str]]


def has_limits(manifests: Manifests) -> Iterator[str]:
    """Every container says what it needs and what it may take."""
    for pod in pods(manifests):
        for container in pod.containers:
            yield from _lacks_resources(f"{pod.name}/{container['name']}", container.get("resources", {}))
    for cluster in of_kind(manifests, "Cluster"):
        yield from _lacks_resources(cluster["metadata"]["name"], cluster["spec"].get("resources", {}))


def _lacks_resources(name: str, resources: dict[str, Any]) -> Iterator[str]:
    for kind in ("requests", "limits"):
        if set(resources.get(kind, {})) != {"cpu", "memory"}:
            yield f"{name}: no {kind} of cpu and memory"


def has_memory_for_what_it_may_hold(manifests: Manifests) -> Iterator[str]:
    """The limit of memory is above what a service takes with all connections that it lets in; its request above that of few."""
    for pod in pods(manifests):
        for container in pod.containers:
            if (needs := NEEDS.get(container["name"])) is None:
                continue
            told = dict(variables(container, manifests))
            fields = SETTINGS[container["name"]].model_fields
            setting = {name: float(told.get(f"OVMS_{name.upper()}") or fields[name].default) for name in needs.each}
            most = needs.rest + sum(setting[name] * cost for name, cost in needs.each.items())
            resources = container.get("resources", {})
            if _bytes(resources.get("limits", {}).get("memory", "0Mi")) < most:
                yield f"{pod.name}: may hold {most / 1e6:,.0f} MB, above its limit of memory"
            if not needs.rest < _bytes(resources.get("requests", {}).get("memory", "0Mi")):
                yield f"{pod.name}: requests less memory than it takes without anybody"


def _bytes(quantity: str) -> float:
    number, unit = float(quantity[:-2]), quantity[-2:]
    return number * {"Mi": 2**20, "Gi": 2**30}[unit]


def is_restricted(manifests: Manifests) -> Iterator[str]:
    """The restricted profile of the pod security standards, and a root filesystem that nobody writes to."""
    for pod in pods(manifests):
        context = pod.spec.get("securityContext", {})
        if not context.get("runAsNonRoot") or not context.get("runAsUser"):
            yield f"{pod.name}: may run as root"
        if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
            yield f"{pod.name}: no seccomp profile"
        if pod.spec.get("automountServiceAccountToken") is not False:
            yield f"{pod.name}: holds a token of Kubernetes, which it has no use for"
        volumes = pod.spec.get("volumes", [])
        if {"hostNetwork", "hostPID", "hostIPC"} & set(pod.spec) or any("hostPath" in volume for volume in volumes):
            yield f"{pod.name}: uses what is the node's"
        for container in pod.containers:
            own = container.get("securityContext", {})
            wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
            if own != wanted:
                yield f"{pod.name}/{container['name']}: not restricted"


def is_guarded(manifests: Manifests) -> Iterator[str]:
    """All is denied but what is meant; what a Service leads to is let in, and only public ports are open to everybody."""
    policies = of_kind(manifests, "NetworkPolicy")
    denied = [policy["spec"] for policy in policies if policy["metadata"]["name"] == "deny-all"]
    if denied != [{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}]:
        yield "there is no policy that denies everything"
    for pod in pods(manifests):
        rules = [rule for policy in policies if selects(policy, pod) for rule in policy["spec"].get("ingress", [])]
        let_in = {number(pod, port["port"]) for rule in rules for port in rule["ports"]}
        for port in let_in - set(pod.ports.values()):
            yield f"{pod.name}: a policy lets in to port {port}, which it does not have"
        for port in _served(pod, manifests) - let_in:
            yield f"{pod.name}: a Service leads to port {port}, which no policy lets in to"
        for name in {name for rule in rules if "from" not in rule for name in _names(pod, rule)} - PUBLIC:
            yield f"{pod.name}: everybody may reach port {name}"


def reaches_its_stores(manifests: Manifests) -> Iterator[str]:
    """Who is given the address of a store may reach one."""
    policies = of_kind(manifests, "NetworkPolicy")
    for pod in pods(manifests):
        rules = [rule for policy in policies if selects(policy, pod) for rule in policy["spec"].get("egress", [])]
        ports = {port["port"] for rule in rules if rule.get("to") for port in rule["ports"]}
        for name in {name for each in pod.containers for name, _ in variables(each, manifests)} & set(STORES):
            if STORES[name] not in ports:
                yield f"{pod.name}: has {name}, and no policy lets it out to port {STORES[name]}"


def is_told_what_it_knows(manifests: Manifests) -> Iterator[str]:
    """Every variable is a setting, has a value that the service takes, and none is missing."""
    for pod in pods(manifests):
        for container in pod.containers:
            told = {name: value for name, value in variables(container, manifests) if name.startswith("OVMS_")}
            where = f"{pod.name}/{container['name']}"
            if (settings := SETTINGS.get(container["name"])) is not None:
                yield from wrong_settings(where, settings, told)
            else:
                yield from (f"{where}: ovms knows no {name}" for name in sorted(set(told) - ADMINISTRATION))


def wrong_settings(where: str, settings: type[BaseSettings], told: dict[str, str | None]) -> Iterator[str]:
    """What is wrong with the variables that a service is told, by their names; None: the value is not known here."""
    known = {f"OVMS_{name.upper()}": field for name, field in settings.model_fields.items()}
    yield from (f"{where}: there is no setting {name}" for name in sorted(set(told) - set(known)))
    yield from (f"{where}: {name} is missing" for name, field in known.items() if field.is_required() and name not in told)
    values = {name: value or SECRET.get(name, "-") for name, value in told.items() if name in known}
    missing = {name: SecretStr(SECRET.get(name, "-")) for name, field in known.items() if field.is_required()}
    try:
        settings(**{name.removeprefix("OVMS_").lower(): value for name, value in (missing | values).items()})
    except ValidationError as error:
        yield from (f"{where}: {fault['loc'][0]}: {fault['msg']}" for fault in error.errors())


def keeps_secrets(manifests: Manifests) -> Iterator[str]:
    """No secret is in a manifest: they are named, and somebody else keeps them."""
    yield from (f"{made['metadata']['name']} is a Secret" for made in of_kind(manifests, "Secret"))
    secret = {
        f"OVMS_{name.upper()}"
        for settings in SETTINGS.values()
        for name, field in settings.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }
    for pod in pods(manifests):
        for container in pod.containers:
            told = {name for name, value in variables(container, manifests) if value is not None}
            yield from (f"{pod.name}: {name} is written down" for name in sorted(told & (secret | {"POSTGRES_PASSWORD"})))


def has_time_to_end(manifests: Manifests) -> Iterator[str]:
    """Nobody is killed while he still lets go of his sessions."""
    for pod in pods(manifests):
        for container in pod.containers:
            if container["name"] not in SETTINGS:
                continue
            needed = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0) + MARGIN
            if needed <= MARGIN:
                yield f"{pod.name}: ends before others know that it does"
            if container["name"] == "api-gateway":
                needed += GATEWAY_GRACE
            else:
                told = dict(variables(container, manifests))
                connections, rate, timeout = (_value(told, name) for name in ("connections", "drain_rate", "drain_timeout"))
                needed += timeout
                if connections / rate > SESSIONS_BY * timeout:
                    yield f"{pod.name}: OVMS_DRAIN_TIMEOUT is too short for OVMS_CONNECTIONS at OVMS_DRAIN_RATE"
            if pod.spec.get("terminationGracePeriodSeconds", 30) < needed:
                yield f"{pod.name}: needs {needed:g} s to end"


def _value(told: dict[str, str | None], name: str) -> float:
    """A number that car-protocol is told, else what it is by itself."""
    return float(told.get(f"OVMS_{name.upper()}") or car_protocol.settings.Settings.model_fields[name].default)


def stays_up(manifests: Manifests) -> Iterator[str]:
    """A rollout takes none away before another is there, an emptied node one at a time; each is asked whether it lives."""
    guarded = {budget["metadata"]["name"] for budget in of_kind(manifests, "PodDisruptionBudget")}
    for made in of_kind(manifests, "Deployment"):
        name = made["metadata"]["name"]
        if made["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] != 0:
            yield f"{name}: a rollout takes some away first"
        if name not in guarded:
            yield f"{name}: no PodDisruptionBudget"
        if "topologySpreadConstraints" not in made["spec"]["template"]["spec"]:
            yield f"{name}: may all be on one node"
        for container in made["spec"]["template"]["spec"]["containers"]:
            for probe in {"startupProbe", "readinessProbe", "livenessProbe"} - set(container):
                yield f"{name}: no {probe}"
            if container.get("livenessProbe", {}).get("httpGet", {}).get("path") != "/livez":
                yield f"{name}: is restarted for what others do"


RULES: Final[tuple[Rule, ...]] = (
    has_limits,
    has_memory_for_what_it_may_hold,
    is_restricted,
    is_guarded,
    reaches_its_stores,
    is_told_what_it_knows,
    keeps_secrets,
    has_time_to_end,
    stays_up,
)


def faults(manifests: Manifests) -> list[str]:
    """All that is wrong."""
    return [fault for rule in RULES for fault in rule(manifests)]


def selects(policy: dict[str, Any], pod: Pod) -> bool:
    """Whether a policy is about a pod."""
    selector = policy["spec"]["podSelector"]
    return all(pod.labels.get(name) == value for name, value in selector.get("matchLabels", {}).items()) and all(
        pod.labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", [])
    )


def number(pod: Pod, port: str | int) -> int:
    """The number of a port, which may be given by its name; -1 where there is none of this name."""
    return port if isinstance(port, int) else pod.ports.get(port, -1)


def _names(pod: Pod, rule: dict[str, Any]) -> set[str]:
    numbers = {number(pod, port["port"]) for port in rule["ports"]}
    return {name for name, value in pod.ports.items() if value in numbers}


def _served(pod: Pod, manifests: Manifests) -> set[int]:
    return {
        number(pod, port["targetPort"])
        for service in of_kind(manifests, "Service")
        if service["spec"]["selector"].items() <= pod.labels.items()
        for port in service["spec"]["ports"]
    }
