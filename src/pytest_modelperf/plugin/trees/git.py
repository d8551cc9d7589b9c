"""git, asked about the repository that a folder lies in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ...errors import ModelPerfError

# What a hook of git says of the repository that it runs for: it is not always the one that a folder lies in.
_LOCATIONS = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
)


class GitError(ModelPerfError):
    """git is not there, or says no, in its own words."""


def git(folder: Path | str, *arguments: str, timeout_s: float | None = None) -> str:
    """What git prints, without the last line's end. Raises GitError."""
    environment = {name: value for name, value in os.environ.items() if name not in _LOCATIONS}
    # What it says no with is looked at, and shown among English words.
    environment["LANGUAGE"] = "en"
    try:
        done = subprocess.run(
            # No hook of the user's runs for what we do.
            ["git", "-c", f"core.hooksPath={os.devnull}", "-C", str(folder), *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=environment,
            text=True,
            errors="surrogateescape",
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError:
        raise GitError("there is no git") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitError(f"git cannot be run: {error}") from None
    if done.returncode != 0:
        raise GitError(_last(done.stderr) or f"git {arguments[0]} ended with exit code {done.returncode}")
    return done.stdout.removesuffix("\n")


def _last(words: str) -> str:
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[-1] if lines else "")
