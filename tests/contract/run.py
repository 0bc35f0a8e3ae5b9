"""Schemathesis with all its checks against a stack of its own: a car that drives and answers commands, and two owners."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import yaml

from contract.hooks import SPARE, TOKENS
from fixtures.stack import OVMS, TESTS, Stack, running_stack
from ovms.auth.published import OWNER
from ovms.db.tokens import identify

CONFIG: Final = Path(__file__).with_name("schemathesis.toml")
DOCUMENT: Final = Path(__file__).parents[2] / "docs/openapi.json"
SCHEMATHESIS: Final = OVMS.with_name("schemathesis")

OWNERS: Final = (OWNER, "other")
# What is typed, then what is asked.
OTHERS: Final = (
    ("hunter22", "owner", "add", "other"),
    ("hunter22", "vehicle", "add", "OTHER", "--owner", "other"),
    ("hunter22", "vehicle", "add", SPARE, "--owner", OWNER),
)


@contextmanager
def two_owners(directory: Path) -> Iterator[Stack]:
    """The stack of `make run` with one more owner, whose vehicle is OTHER, and a vehicle that may be removed."""
    with running_stack(directory, OVMS_TRUSTED_PROXIES="127.0.0.1/32") as stack:
        for typed, *arguments in OTHERS:
            done = stack.ovms(*arguments, typed=f"{typed}\n")
            assert done.returncode == 0, done.stderr
        yield stack


def check(stack: Stack, directory: Path, arguments: Sequence[str], *, output: int | None = None) -> tuple[int, str]:
    """Run Schemathesis; its exit status, and what it said where `output` is PIPE."""
    tokens = {owner: stack.ovms("token", "add", owner).stdout.strip() for owner in OWNERS}
    users = directory / "users.yaml"
    users.write_text(yaml.safe_dump({"auth": [_user(*one) for one in tokens.items()]}))
    identifiers = ",".join(identify(token) for token in tokens.values())
    where = ("--url", stack.http_url, "--auth-wfc", users)
    done = subprocess.run(
        [SCHEMATHESIS, "--config-file", CONFIG, "run", DOCUMENT, *where, *arguments],
        cwd=directory,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "contract.hooks", "PYTHONPATH": str(TESTS), TOKENS: identifiers},
        stdout=output,
        stderr=output and subprocess.STDOUT,
        check=False,
    )
    return done.returncode, (done.stdout or b"").decode("utf-8", "replace")


def _user(name: str, token: str) -> dict[str, object]:
    return {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token}"}]}
