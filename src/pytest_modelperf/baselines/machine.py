"""The name of a machine's folder of baselines."""

from __future__ import annotations

import hashlib
import re
from collections import Counter

from ..domain.host import Host
from ..errors import UsageError

# Short enough for a folder in a path on any system, long enough for a CPU and two kinds of accelerators.
LONGEST_NAME = 100
# What Windows keeps for itself, with any extension.
RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"{kind}{digit}" for kind in ("com", "lpt") for digit in "0123456789")]
)

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
# Words that every model of a vendor has, and so tell nothing.
_NOISE = re.compile(r"\((r|tm|c)\)|[®™©]|\b(cpu|processor|nvidia|\d+-core)\b|\bwith radeon graphics\b")


def machine_name(host: Host) -> str:
    """The folder of a host, from CPU model and count and accelerators: `"amd-epyc-7b13-x2-h200-x1"`."""
    parts = [f"{_slug(host.cpu) or 'unknown-cpu'}-x{host.cpus}"]
    parts += [f"{_slug(name) or 'accelerator'}-x{count}" for name, count in sorted(Counter(host.accelerators).items())]
    name = "-".join(parts)
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: LONGEST_NAME - len(digest) - 1]}-{digest}"


def checked_name(name: str) -> str:
    """The name as it is given with `--modelperf-machine`. Raises UsageError for what is no folder name on every
    system."""
    problem = _problem(name)
    if problem:
        shown = name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…"
        raise UsageError(
            f"--modelperf-machine={shown!r} {problem}; write letters, digits, '.', '_' and '-', for example 'ci-large'"
        )
    return name


def is_reserved(name: str) -> bool:
    """Whether Windows keeps a file name for itself, whatever its case and extension."""
    return name.partition(".")[0].lower() in RESERVED


def _problem(name: str) -> str:
    if not name.strip():
        return "is empty"
    if len(name) > LONGEST_NAME:
        return f"has {len(name)} characters, more than {LONGEST_NAME}"
    if not name.strip("."):
        return "names no folder of its own"
    if "/" in name or "\\" in name:
        return "leaves the folder of the baselines"
    if is_reserved(name):
        return "is a name that Windows keeps for itself"
    return "" if _NAME.fullmatch(name) and not name.endswith(".") else "is no folder name on every system"


def _slug(model: str) -> str:
    plain = _NOISE.sub(" ", model.lower())
    # A point stays between digits: "2.20ghz".
    return re.sub(r"(?<!\d)\.|\.(?!\d)|[^a-z0-9.]+", "-", plain).strip("-").replace("--", "-")
