"""The file `.env`, in the format of python-dotenv, as pydantic-settings and Compose read it too."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from ovms.admin.errors import InputError

ENV_FILE: Final = "OVMS_ENV_FILE"
DEFAULT: Final = ".env"
_PREFIX: Final = "OVMS_"


def with_env_file(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return an environment with the settings of the file `.env` of the working directory, where it sets none itself.

    `OVMS_ENV_FILE` names another file; empty, it names none.

    Raises:
        InputError: the file cannot be read, or has a line that is not NAME=VALUE.
    """
    if not (name := environment.get(ENV_FILE, DEFAULT)):
        return environment
    try:
        text = Path(name).read_text(encoding="utf-8")
    except FileNotFoundError:
        if ENV_FILE in environment:
            raise InputError(f"{ENV_FILE}={name}: there is no such file") from None
        return environment
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    return _read(name, text) | dict(environment)


def _read(name: str, text: str) -> dict[str, str]:
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key is not None and binding.value is None):
            raise InputError(f"{name}, line {binding.original.line}: not of the form NAME=VALUE")
    values = dotenv_values(stream=io.StringIO(text))
    return {key: value for key, value in values.items() if key.startswith(_PREFIX) and value is not None}
