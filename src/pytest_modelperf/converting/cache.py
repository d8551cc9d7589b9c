"""The cache of conversions: what a converter wrote, kept for the next run by what it was made of.

A folder for each conversion, its name the hash of all that the result hangs on: written beside, then renamed, so that
others see a whole one or none. Whoever takes one gets copies of its files, so that none of them is missed when it is
removed: those that were used longest ago, past the limit. No links: onnx reads no weights from a file that has several.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock

from ..domain.codec import from_json, to_json
from ..domain.spec import RuntimeChoice
from .content import code_file, hashed, versions
from .protocol import Converted, Converter, Subject

# About ten models of the size of BERT-large, each in a few variants.
LIMIT_BYTES = 10 * 2**30
_ENTRY = "converted.json"
_FILES = "files"
_LOCK = ".lock"


class _Kept(msgspec.Struct, frozen=True):
    """A Converted without its model: `model` is the path below the folder of its files."""

    model: str
    runtime: str
    options: Mapping[str, Any]
    fixed: Mapping[str, int] | None
    settled: tuple[str, ...]
    counts: Mapping[str, float]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Cache:
    """Conversions below `folder`, together no more than `limit_bytes`."""

    folder: Path
    limit_bytes: int = LIMIT_BYTES

    def follow(self, key: str, step: Converter, subject: Subject, own: Path) -> Converted:
        """What the step makes in the folder `own`, or made there before under this key. Raises what it raises."""
        kept = self.find(key, own)
        if kept is not None:
            return replace(kept, notes=(*kept.notes, f"{step.name}: from the cache"))
        made = step.convert(subject, own)
        try:
            self.keep(key, made, own)
        except OSError as error:
            return replace(made, notes=(*made.notes, f"{step.name}: not kept in {self.folder} ({error.strerror})"))
        return made

    def find(self, key: str, own: Path) -> Converted | None:
        """What is kept under the key, its files copied into the folder `own`; None where there is nothing whole."""
        entry = self.folder / key
        try:
            kept = from_json((entry / _ENTRY).read_bytes(), _Kept)
            shutil.copytree(entry / _FILES, own, dirs_exist_ok=True)
            os.utime(entry / _ENTRY)
        except OSError:
            # There is none, or it was removed meanwhile.
            _emptied(own)
            return None
        except msgspec.MsgspecError:
            # Damaged: it is made anew.
            shutil.rmtree(entry, ignore_errors=True)
            return None
        choice = RuntimeChoice(kept.runtime, kept.options) if kept.runtime else None
        return Converted(own / kept.model, choice, kept.fixed, kept.settled, kept.counts, kept.notes)

    def keep(self, key: str, made: Converted, own: Path) -> None:
        """Keep what was made in the folder `own`; what is not files there is not kept. Raises OSError."""
        if not isinstance(made.model, Path) or not made.model.is_relative_to(own):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        choice = made.runtime or RuntimeChoice("")
        where = str(made.model.relative_to(own))
        kept = _Kept(where, choice.name, choice.options, made.fixed, made.settled, made.counts, made.notes)
        new = self.folder / f".{uuid.uuid4().hex}"
        try:
            shutil.copytree(own, new / _FILES)
            (new / _ENTRY).write_text(to_json(kept), "utf-8")
            with FileLock(self.folder / _LOCK):
                if not (self.folder / key).exists():
                    new.rename(self.folder / key)
                self._trim(key)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _trim(self, newest: str) -> None:
        """Remove what was used longest ago until the rest is within the limit; the newest stays."""
        entries = sorted(self.folder.glob(f"*/{_ENTRY}"), key=lambda path: path.stat().st_mtime)
        sizes = {path.parent: _size(path.parent) for path in entries}
        total = sum(sizes.values())
        for entry, size in sizes.items():
            if total > self.limit_bytes and entry.name != newest:
                shutil.rmtree(entry, ignore_errors=True)
                total -= size


def key(before: str, converter: Converter) -> str:
    """The key of a step: of what it starts from, the converter with its code, and the versions of all libraries.

    "" for a converter whose code cannot be told.
    """
    kind = type(converter)
    file = code_file(kind)
    if not file:
        return ""
    code = Path(file).read_text("utf-8")
    known = [f"{name} {version}" for name, version in versions().items()]
    return hashed([before, converter.name, kind.__qualname__, code, *known])


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
