"""How many files and connections this process may have open at once, and more of them where a run needs more."""

from __future__ import annotations

import resource

SPARE = 256  # descriptors for all that is no connection to a child: records, logs, pipes, a command that is started


def allow_connections(wanted: int) -> str:
    """Let this process have so many connections at once, by its own limit, which it may raise up to the system's.

    It is raised only where that is needed: who is started later inherits it.

    Returns:
        why there cannot be so many, as a sentence; "" where there can.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed, endless = wanted + SPARE, resource.RLIM_INFINITY
    if soft == endless or soft >= needed:
        return ""
    told = (
        f"{wanted} connections need {needed} open files, and {{}} are allowed: allow more (ulimit -Hn), or have fewer"
    )
    if hard != endless and hard < needed:
        return told.format(hard)
    # A third more than is needed: a quarter is for those who are at the door (`bench.engine.door`).
    more = needed + needed // 3
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (more if hard == endless else min(hard, more), hard))
    except (OSError, ValueError) as error:  # macOS names no limit, and has one
        return told.format(f"no more than {soft}") + f" ({error})"
    return ""
