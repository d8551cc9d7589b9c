from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_modelperf.plugin.trees.git import GitError, git


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git that says in which language it was asked, and of which repository."""
    script = tmp_path / "git"
    script.write_text('#!/bin/sh\necho "$LANGUAGE $GIT_DIR $*"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="a shell's script")
def test_it_speaks_english_of_the_folder_and_runs_no_hook(said: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "de")
    monkeypatch.setenv("GIT_DIR", "/elsewhere")
    assert git(said, "status") == f"en  -c core.hooksPath=/dev/null -C {said} status"


def test_without_a_git_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match=r"^there is no git$"):
        git(tmp_path, "status")


def test_what_it_says_no_with_is_told_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(GitError, match=r"^fatal: not a git repository [^\n]*$"):
        git(tmp_path, "status")
