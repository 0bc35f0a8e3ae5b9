"""The limit of open files, of which every connection takes one.

A login shell has a soft limit of 1,024, which a process may raise up to its hard limit itself.
"""

import resource
from typing import Any, Final

RESERVED: Final = 256
"""Files for all but connections of clients: databases, push services, logs."""
EXTRA: Final = 4096
"""Files beyond those, where they are to be had: connections that are accepted when the service stops."""


def raise_limit(wanted: int) -> int:
    """Raise the soft limit to `wanted`, as far as the hard limit allows; return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < highest:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
            soft = highest
        except (OSError, ValueError):
            pass  # macOS has another limit below the hard one
    return wanted if soft == resource.RLIM_INFINITY else soft


def fit_connections(wanted: int, setting: str, log: Any) -> int:
    """Raise the limit of open files for `wanted` connections; return how many fit, with a warning where those are fewer.

    Args:
        setting: the name of the setting that asks for them.
    """
    limit = raise_limit(wanted + RESERVED + EXTRA)
    fitting = min(wanted, max(limit - RESERVED, limit // 2))
    if fitting < wanted:
        advice = f"raise the hard limit of open files (ulimit -Hn) to {wanted + RESERVED + EXTRA}, or lower {setting}"
        log.warning("fewer connections than configured", wanted=wanted, connections=fitting, open_files=limit, advice=advice)
    return fitting
