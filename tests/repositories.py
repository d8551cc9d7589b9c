"""Repositories of git, made by the tests."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

# No setting, template or hook of the machine's has a say.
_ALONE = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TEMPLATE_DIR": ""}
_AUTHOR = ("-c", "user.name=A. Tester", "-c", "user.email=tester@example.org")


@dataclass(frozen=True)
class Repository:
    """A repository and its tree in `path`, with the branch `main`."""

    path: Path

    @classmethod
    def make(cls, path: Path) -> Repository:
        path.mkdir(parents=True, exist_ok=True)
        made = cls(path)
        made.git("init", "--quiet", "--initial-branch=main")
        return made

    def git(self, *arguments: str) -> str:
        """What git prints."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(
            ["git", *_AUTHOR, *arguments],
            cwd=self.path,
            env=kept | _ALONE,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        return file

    def commit(self, message: str = "a change") -> str:
        """Commit all there is; gives the short hash."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "--short", "HEAD")

    def state(self) -> dict[str, str]:
        """What a run must leave as it is: worktrees, the tree's changes, the stash, branches and the reflog."""
        asked = {
            "worktrees": ("worktree", "list", "--porcelain"),
            "changes": ("status", "--porcelain"),
            "stash": ("stash", "list"),
            "branches": ("for-each-ref",),
            "reflog": ("reflog", "--all"),
        }
        return {name: self.git(*arguments) for name, arguments in asked.items()}
