"""Where variants are made: a folder for each below `.modelperf/converters`, with its log and a script to repeat it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from ...baselines.paths import baseline_path
from ...domain.variant import EXPORT, NOT_WRITTEN, Suggestion
from .. import aside
from ..marker import own_id
from ..stash import SETTINGS
from .exporting import publish, withdraw


@dataclass(frozen=True)
class Workplace:
    """The folder of one variant: what it is made of, `log.txt` and `reproduce.sh`."""

    folder: Path

    @property
    def made(self) -> Path:
        """Where converters write files."""
        return self.folder / "made"

    @property
    def again(self) -> Path:
        """Where they write when the variant is made once more."""
        return self.folder / "again"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def former_log(self) -> Path:
        return self.folder / "log.before.txt"

    def note(self, text: str) -> None:
        """Add to the log, as far as there is room: what it explains is told without it, too."""
        with suppress(OSError), self.log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{text}\n" if text else "")

    def clear(self) -> None:
        """Remove the files that converters wrote."""
        for folder in (self.made, self.again):
            shutil.rmtree(folder, ignore_errors=True)


class Workshop:
    """The folders of the variants of one test."""

    def __init__(self, item: pytest.Item, root: Path) -> None:
        """`root` is the folder for all that is no report and no baseline."""
        self._config, self._nodeid, self._root = item.config, own_id(item), root
        self.folder = baseline_path(root, "converters", self._nodeid).with_suffix("")

    def place(self, variant: str, device: str) -> Workplace:
        """The place of a variant, empty but for its script and the log of the run before. Raises OSError."""
        name = variant if device == "cpu" else f"{variant} on {device}"
        place = Workplace(self.folder / aside.file_name(name))
        # The script may be at work: the log that it is to explain stays.
        former = place.log.read_bytes() if place.log.is_file() else b""
        shutil.rmtree(place.folder, ignore_errors=True)
        aside.make(self._root, place.folder)
        if former:
            place.former_log.write_bytes(former)
        script = place.folder / "reproduce.sh"
        script.write_text(self._script(variant, device), "utf-8")
        script.chmod(0o755)
        place.note(f"{variant} of {self._nodeid} on {device}")
        return place

    def publish(self, place: Workplace, suggestion: Suggestion) -> str:
        """Put what was written of it where the user wants it; says where, or why not, "" where nobody asks."""
        folder = self._target(place)
        if folder is None:
            return ""
        reasons = [note for note in suggestion.variant.notes if note.startswith(NOT_WRITTEN)]
        if reasons:
            return reasons[0]
        try:
            publish(place.made / EXPORT, folder, suggestion, self._served(place))
        except OSError as error:
            return f"{NOT_WRITTEN} to {self.shown(folder)}: {error.strerror or error}"
        return f"written to {self.shown(folder)}"

    def withdraw(self, place: Workplace) -> None:
        """Remove what an earlier run has put there of a variant that is suggested no more."""
        folder = self._target(place)
        if folder is not None:
            withdraw(folder)

    def command(self, variant: str) -> str:
        """What tries this variant alone, to be typed in the rootdir."""
        return shlex.join(["pytest", self._nodeid, "--modelperf", f"--modelperf-convert={variant}"])

    def shown(self, folder: Path) -> str:
        """A folder as the user knows it."""
        return (
            os.path.relpath(folder, self._config.rootpath)
            if folder.is_relative_to(self._config.rootpath)
            else str(folder)
        )

    def _target(self, place: Workplace) -> Path | None:
        """Where the user wants what is suggested; None where nobody asks."""
        target = self._config.stash[SETTINGS].export
        return None if target is None else target / place.folder.relative_to(self._root / "converters")

    def _served(self, place: Workplace) -> str:
        """A name that no variant of another test has."""
        parts = place.folder.relative_to(self._root / "converters").parts
        return re.sub(r"[^\w.-]+", "_", "-".join(parts))

    def _script(self, variant: str, device: str) -> str:
        config, settings = self._config, self._config.stash[SETTINGS]
        ini = ["-c", str(config.inipath)] if config.inipath is not None else []
        plugins = [part for name in getattr(config.option, "plugins", None) or [] for part in ("-p", name)]
        command = [
            *(sys.executable, "-m", "pytest", self._nodeid, f"--rootdir={config.rootpath}", *ini, *plugins),
            *("--modelperf", f"--modelperf-convert={variant}", f"--modelperf-device={device}"),
            *(f"--modelperf-seconds={settings.seconds:g}", f"--modelperf-convert-seconds={settings.convert_seconds:g}"),
            *([f"--modelperf-export={settings.export.absolute()}"] if settings.export is not None else []),
        ]
        root = shlex.quote(str(config.rootpath))
        lines = ["#!/bin/sh", f"# Tries the variant {variant} alone.", f"cd {root} || exit", shlex.join(command), ""]
        return "\n".join(lines)
