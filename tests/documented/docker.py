"""docker without an engine: its files, arguments, targets and services are there."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

import yaml

from api_gateway.app import DISTRIBUTION
from documented.pages import ROOT

BUILD: Final = argparse.ArgumentParser("docker build", exit_on_error=False)
BUILD.add_argument("--file", "-f", required=True)
BUILD.add_argument("--tag", "-t", action="append", required=True)
BUILD.add_argument("--build-arg", action="append", default=[])
BUILD.add_argument("--target")
BUILD.add_argument("--platform")
BUILD.add_argument("--push", action="store_true")
BUILD.add_argument("context")

COMPOSE: Final = argparse.ArgumentParser("docker compose", exit_on_error=False)
COMPOSE.add_argument("--file", action="append", required=True)
COMPOSE.add_argument("--profile", action="append", default=[])
COMPOSE.add_argument("verb", choices=["up", "run", "exec", "ps", "logs", "down", "build", "stop"])
COMPOSE.add_argument("rest", nargs=argparse.REMAINDER)

VERSION: Final = version(DISTRIBUTION)
LEFT_OUT: Final = ("-f", "deploy/images/car-protocol.Dockerfile", "-t", f"car-protocol:{VERSION}", ".")
"""What a sentence does not say again."""
# The options of each verb, and whether a value follows.
OPTIONS: Final[dict[str, dict[str, bool]]] = {
    "up": {"--build": False, "--detach": False, "--wait": False},
    "run": {"--rm": False, "--entrypoint": True, "-T": False},
    "exec": {"-T": False},
    "ps": {"--all": False},
    "logs": {"--follow": False, "--since": True},
    "down": {},
    "build": {},
    "stop": {},
}
PLATFORMS: Final = {"linux/amd64", "linux/arm64"}


def check(given: Sequence[str], *, is_whole: bool) -> list[str]:
    """Try a command; what a container of it is to run."""
    match given:
        case ["build", *rest] | ["buildx", "build", *rest]:
            _build(BUILD.parse_args(rest if is_whole else [*rest, *LEFT_OUT]))
        case ["buildx", "imagetools", "inspect"]:
            pass
        case ["compose", *rest]:
            return _compose(COMPOSE.parse_args(rest))
        case ["push", tag]:
            _check_tag(tag)
        case ["stop", "-t", *_]:
            assert not is_whole
        case _:
            raise AssertionError(given)
    return []


def arguments_of(dockerfile: str) -> set[str]:
    """What a Dockerfile may be told with --build-arg."""
    return set(re.findall(r"^ARG (\w+)", (ROOT / dockerfile).read_text(), re.MULTILINE))


def _build(asked: argparse.Namespace) -> None:
    assert asked.context == "."
    text = (ROOT / asked.file).read_text()
    assert {each.partition("=")[0] for each in asked.build_arg} <= arguments_of(asked.file)
    assert not asked.target or re.search(rf" AS {asked.target}$", text, re.MULTILINE), asked.target
    assert not asked.platform or set(asked.platform.split(",")) <= PLATFORMS
    for tag in asked.tag:
        _check_tag(tag)


def _check_tag(tag: str) -> None:
    name, _, tagged = tag.rpartition(":")
    assert tagged == VERSION, f"{tag} is not of version {VERSION}"
    assert (ROOT / f"deploy/images/{name.rpartition('/')[2].removeprefix('ovms-')}.Dockerfile").exists(), name


def _compose(asked: argparse.Namespace) -> list[str]:
    services = {
        name: service for file in asked.file for name, service in yaml.safe_load((ROOT / file).read_text())["services"].items()
    }
    known = {profile for service in services.values() for profile in service.get("profiles", [])}
    assert set(asked.profile) <= known, asked.profile
    entrypoint, rest = [], list(asked.rest)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        assert option in OPTIONS[asked.verb], f"{asked.verb} {option}"
        if OPTIONS[asked.verb][option]:
            value = rest.pop(0)
            entrypoint = [value] if option == "--entrypoint" else entrypoint
    if asked.verb in ("run", "exec"):
        service = rest.pop(0)
        assert service in services, service
        return entrypoint + rest
    assert set(rest) <= set(services), rest
    return []
