"""kubectl without a cluster: it parses what it is given, and what that names is in the manifests."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from base64 import b64decode
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from documented.pages import ROOT
from fixtures.manifests import OVERLAYS, kubectl, of_kind, pods, rendered
from ovms.db.sealing import Sealer

if TYPE_CHECKING:
    from documented.place import Place

NOBODY: Final = "http://127.0.0.1:9"
"""Where no cluster is."""
REFUSED: Final = "refused"
"""What kubectl says of it, once it has taken what it was given."""
PLURALS: Final = frozenset({"deployments", "events", "ingresses", "pods", "services"})
SECRET: Final = "ovms"


def check(text: str, place: Place) -> str:
    """Try a command; what it printed, where it needs no cluster."""
    given = shlex.split(text.replace("<n>", "3").replace("<name>", "a-pod"))[1:]
    for name, value in pairwise(given):
        assert name not in ("--namespace", "namespace") or ("namespace", value) in everything(), value
        assert name != "--selector" or _selects(value), value
    for kind, name in _named(given):
        assert (kind, name) in everything(), f"{kind}/{name} is in no manifest"
    if "create" in given:
        return _create(text, place)
    if {"kustomize", "--kustomize"} & set(given):
        assert given[-1] in {f"deploy/kubernetes/overlays/{overlay}" for overlay in OVERLAYS}, given[-1]
        assert rendered(Path(given[-1]).name)
    if "kustomize" not in given:
        _parse(tuple(given))
    return ""


def _named(given: list[str]) -> list[tuple[str, str]]:
    """What a command is about, `kind/name` or `kind name`; whole kinds must be some that there are."""
    kinds = {kind for kind, _ in everything()} - {"namespace"}
    if "get" in given:
        assert set(given[given.index("get") + 1].split(",")) <= PLURALS | kinds, given
    slashed = [word.partition("/")[::2] for word in given if re.fullmatch("[a-z]+/[a-z-]+", word)]
    return slashed + [(kind, name) for kind, name in pairwise(given) if kind in kinds and not name.startswith("-")]


def _selects(selector: str) -> bool:
    label, _, value = selector.partition("=")
    return any(pod.labels.get(label) == value for overlay in OVERLAYS for pod in pods(rendered(overlay)))


@cache
def _parse(given: tuple[str, ...]) -> None:
    """It takes the command and then finds no cluster."""
    command = [kubectl(), f"--server={NOBODY}", *given]
    environment = {"PATH": os.environ["PATH"], "KUBECONFIG": os.devnull, "HOME": "/nonexistent"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert REFUSED in done.stderr, done.stderr


def _create(text: str, place: Place) -> str:
    """What it would make, without a cluster; a Secret holds what pods are told to take out of it, and that is right."""
    command, *document = text.split("\n")
    made = yaml.safe_load(place.shell("\n".join([f"{command} --dry-run=client --output=yaml", *document])))
    name = made["metadata"]["name"]
    if made["kind"] == "Secret" and name == SECRET:
        assert frozenset(made["data"]) in wanted().values(), f"no overlay wants {sorted(made['data'])}"
        Sealer.from_setting(b64decode(made["data"]["secret-keys"]).decode())
    elif made["kind"] == "Secret":
        assert name in mounted()
        assert set(made["data"]) == {"tls.crt", "tls.key"}
    return yaml.safe_dump(made)


@cache
def everything() -> frozenset[tuple[str, str]]:
    """The kind, in small letters, and the name of all that any overlay makes."""
    return frozenset((each["kind"].lower(), each["metadata"]["name"]) for overlay in OVERLAYS for each in rendered(overlay))


@cache
def wanted() -> dict[str, frozenset[str]]:
    """The keys of our Secret that the pods of each overlay are told to take."""
    return {overlay: frozenset(_keys(rendered(overlay))) for overlay in OVERLAYS}


def _keys(found: Any) -> set[str]:
    if isinstance(found, dict):
        own = {found["key"]} if found.get("name") == SECRET and "key" in found else set[str]()
        return own.union(*map(_keys, found.values()))
    return set[str]().union(*map(_keys, found)) if isinstance(found, list) else set()


def mounted() -> set[str]:
    """The Secrets that are files of pods."""
    made = [each for overlay in OVERLAYS for each in of_kind(rendered(overlay), "Deployment")]
    volumes = [volume for each in made for volume in each["spec"]["template"]["spec"].get("volumes", [])]
    return {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
