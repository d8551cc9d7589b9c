"""Where the baseline of a test lies: a file name that is safe on every system, and that no other test has."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from .machine import checked_name, is_reserved

SUFFIX = ".json"

# File systems take 255 bytes a name; this leaves room for the hash, the suffix and a temporary file's ending.
_LONGEST_SLUG = 120
# Hexadecimal digits of the hash: two of ten thousand tests of one name meet with a chance of one in 20,000.
_DIGITS = 10

# What stands for itself, on file systems that tell case apart and on those that do not: lower case, and no characters
# with a meaning to a file system or a shell. Hashed names end in "-" and digits, so that they are none of these.
_PLAIN_FOLDER = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
_PLAIN_TEST = re.compile(r"[a-z_][a-z0-9_]*(::[a-z_][a-z0-9_]*)*(\[[a-z0-9_.-]+\])?")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.\[\]-]+")


def baseline_path(root: Path, machine: str, nodeid: str) -> Path:
    """The file of a test: `root/<machine>/<test path>/<test name>.json`, always below `root`.

    The test path loses its `.py`; `TestX::test_y[a]` becomes `TestX.test_y[a]`. Wherever a name had to be changed to be
    safe, or differs from another only by case, a hash of the node id follows: different tests have different files,
    also where the file system folds case. Raises UsageError for a machine name that is no folder name.
    """
    path, _, test = nodeid.partition("::")
    *folders, module = path.split("/")
    components = [*folders, module.removesuffix(".py")]
    exact = module.endswith(".py") and all(map(_is_plain_folder, components)) and _is_plain_test(test)
    name = _slug(test.replace("::", "."))
    if not exact:
        name = f"{name}-{hashlib.sha256(nodeid.encode('utf-8', 'surrogatepass')).hexdigest()[:_DIGITS]}"
    return root.joinpath(checked_name(machine), *map(_folder, components), name + SUFFIX)


def _is_plain_folder(name: str) -> bool:
    return bool(_PLAIN_FOLDER.fullmatch(name)) and _folder(name) == name


def _is_plain_test(name: str) -> bool:
    return bool(_PLAIN_TEST.fullmatch(name)) and _slug(name.replace("::", ".")) == name.replace("::", ".")


def _folder(name: str) -> str:
    """A folder's safe name. It never ends as a baseline does: a file and a folder would meet."""
    slug = _slug(name)
    return f"{slug}_" if slug.lower().endswith(SUFFIX) else slug


def _slug(name: str) -> str:
    """The nearest name that every system takes: no leading or trailing dot, none that Windows keeps, not too long."""
    slug = _UNSAFE.sub("_", name)[:_LONGEST_SLUG].strip(".") or "_"
    return f"_{slug}" if is_reserved(slug) else slug
