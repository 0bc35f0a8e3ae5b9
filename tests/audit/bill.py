"""What a bill of materials has to say. Pure."""

from collections.abc import Mapping
from typing import Any


def differences(listed: Mapping[str, str], bom: Mapping[str, Any]) -> list[str]:
    """What a bill says otherwise than the list that it was made from."""
    named = {part["name"].lower().replace("_", "-").replace(".", "-"): part["version"] for part in bom.get("components", ())}
    unhashed = [
        part["name"]
        for part in bom.get("components", ())
        if not any(reference.get("hashes") for reference in part.get("externalReferences", ()))
    ]
    wrong = {name for name in listed.keys() | named.keys() if listed.get(name) != named.get(name)}
    return sorted([f"{name}: {listed.get(name)} listed, {named.get(name)} in the bill" for name in wrong]) + [
        f"{name}: without a hash" for name in unhashed
    ]
