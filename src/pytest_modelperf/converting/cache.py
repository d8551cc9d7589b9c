"""The cache of conversions: what a converter wrote, kept for the next run by what it was made of.

A folder for each conversion, its name the hash of all that the result hangs on: written beside, then renamed, so that
others see a whole one or none. Whoever takes one gets copies of its files, so that none of them is missed when it is
removed: those that were used longest ago, past the limit. No links: onnx reads no weights from a file that has several.
What is removed is renamed first: a process that is killed meanwhile leaves nothing under the key.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
from filelock import FileLock

from ..domain.codec import from_json, to_json
from ..domain.spec import RuntimeChoice
from .content import code, hashed, told, versions
from .protocol import Converted, Converter, Subject, converted

# About ten models of the size of BERT-large, each in a few variants.
LIMIT_BYTES = 10 * 2**30
_ENTRY = "converted.json"
_FILES = "files"
_LOCK = ".lock"
# What is being written or removed. Nothing takes an hour of that: what is older was left behind by a killed process.
_PASSING = ".passing-"
_LEFT_SECONDS = 3600.0
# What the last word of a note says of a result that was not made now.
FROM_CACHE = "from the cache"


class _Kept(msgspec.Struct, frozen=True):
    """A Converted without its model: `model` is the path below the folder of its files."""

    model: str
    runtime: str
    options: Mapping[str, Any]
    fixed: Mapping[str, int] | None
    settled: tuple[str, ...]
    counts: Mapping[str, float]
    notes: tuple[str, ...]
    # What it took to make; of entries of before it was told, nothing.
    seconds: float = 0.0


class _KeptSettings(msgspec.Struct, frozen=True):
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Cache:
    """Conversions below `folder`, together no more than `limit_bytes`; where `renews`, all are made anew."""

    folder: Path
    limit_bytes: int = LIMIT_BYTES
    renews: bool = False

    def follow(self, key: str, step: Converter, subject: Subject, own: Path) -> Converted:
        """What the step makes in the folder `own`, or made there before under this key. Raises what it raises."""
        kept = self.find(key, own) if not self.renews else None
        if kept is not None:
            return replace(kept, notes=(*kept.notes, f"{step.name}: {FROM_CACHE}"))
        start = perf_counter()
        made = converted(step, replace(subject, kept=self.folder), own)
        try:
            self.keep(key, made, own, perf_counter() - start)
        except OSError as error:
            return replace(made, notes=(*made.notes, f"{step.name}: not kept in {self.folder} ({error.strerror})"))
        return made

    def find(self, key: str, own: Path) -> Converted | None:
        """What is kept under the key, its files copied into the folder `own`; None where there is nothing whole."""
        entry = self.folder / key
        if not (entry / _ENTRY).is_file():
            return None
        try:
            # Now it is the last to be removed. Copied without the lock: others would wait for gigabytes.
            with self._locked():
                kept, known = from_json((entry / _ENTRY).read_bytes(), _Kept), entry.stat().st_ino
                os.utime(entry / _ENTRY)
            shutil.copytree(entry / _FILES, own, dirs_exist_ok=True)
            if entry.stat().st_ino != known:
                raise FileNotFoundError("another process has put another one in its place meanwhile")
        except (OSError, msgspec.MsgspecError):
            # Removed meanwhile, or damaged: it is made anew, and kept in place of this one.
            _emptied(own)
            return None
        choice = RuntimeChoice(kept.runtime, kept.options) if kept.runtime else None
        plain = Converted(own / kept.model, choice, kept.fixed, kept.settled, kept.counts, kept.notes)
        return replace(plain, saved_seconds=kept.seconds)

    def keep(self, key: str, made: Converted, own: Path, seconds: float = 0.0) -> None:
        """Keep what was made in `seconds` in the folder `own`, in place of what there is; what is no file there is not.

        Raises OSError.
        """
        if not isinstance(made.model, Path) or not made.model.is_relative_to(own):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        choice = made.runtime or RuntimeChoice("")
        where = str(made.model.relative_to(own))
        kept = _Kept(where, choice.name, choice.options, made.fixed, made.settled, made.counts, made.notes, seconds)
        new = self._passing()
        try:
            shutil.copytree(own, new / _FILES)
            (new / _ENTRY).write_text(to_json(kept), "utf-8")
            with self._locked():
                self._remove(self.folder / key)
                new.rename(self.folder / key)
                self._trim(key)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def find_settings(self, key: str) -> Mapping[str, object] | None:
        """Options of a runtime that are kept under the key; None where there are none to read."""
        file = self.folder / key / _ENTRY
        try:
            found = from_json(file.read_bytes(), _KeptSettings)
            os.utime(file)
        except (OSError, msgspec.MsgspecError):
            return None
        return found.options

    def keep_settings(self, key: str, options: Mapping[str, object]) -> None:
        """Keep options of a runtime, in place of what there is; where that cannot be they are found anew."""
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            new = self._passing()
            new.mkdir()
            (new / _ENTRY).write_text(to_json(_KeptSettings(options)), "utf-8")
            with self._locked():
                self._remove(self.folder / key)
                new.rename(self.folder / key)

    def _trim(self, newest: str) -> None:
        """Remove what processes left behind, and what was used longest ago until the rest is within the limit."""
        folders = [path for path in self.folder.iterdir() if path.is_dir()]
        passing = [path for path in folders if path.name.startswith(_PASSING)]
        whole = [path for path in folders if path not in passing and (path / _ENTRY).is_file()]
        for left in (*filter(_is_left, passing), *(path for path in folders if path not in (*passing, *whole))):
            self._remove(left)
        sizes = {path: _size(path) for path in sorted(whole, key=lambda path: (path / _ENTRY).stat().st_mtime)}
        total = sum(sizes.values())
        for entry, size in sizes.items():
            if total > self.limit_bytes and entry.name != newest:
                self._remove(entry)
                total -= size

    def _remove(self, entry: Path) -> None:
        """Under the lock."""
        if not entry.exists():
            return
        dead = self._passing()
        entry.rename(dead)
        os.utime(dead)
        shutil.rmtree(dead, ignore_errors=True)

    def _passing(self) -> Path:
        return self.folder / f"{_PASSING}{uuid.uuid4().hex}"

    def _locked(self) -> FileLock:
        return FileLock(self.folder / _LOCK)


def key(before: str, converter: Converter) -> str:
    """The key of a step: of what it starts from, the converter with code and options, the versions of all libraries.

    "" for a converter whose code cannot be told.
    """
    kind = type(converter)
    written = code(kind)
    if not written:
        return ""
    known = [f"{name} {version}" for name, version in versions().items()]
    return hashed([before, converter.name, kind.__qualname__, told(vars(converter)), written, *known])


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _is_left(folder: Path) -> bool:
    return time.time() - folder.stat().st_mtime > _LEFT_SECONDS


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
