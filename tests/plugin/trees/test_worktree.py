from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from repositories import Repository

from pytest_modelperf.errors import UsageError
from pytest_modelperf.plugin.trees.worktree import Worktree


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Two commits, the older one named `old`, and changes that are in none."""
    made = Repository.make(tmp_path / "project")
    made.write("model.py", "SPEED = 1\n")
    made.write(".gitignore", "data/\n")
    made.commit()
    made.git("branch", "old")
    made.write("model.py", "SPEED = 2\n")
    made.commit()
    made.write("model.py", "SPEED = 3\n")
    made.write("untracked.py", "")
    made.write("data/weights", "0.5")
    made.git("stash", "--keep-index")
    made.git("stash", "apply")
    return made


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where worktrees are made; nothing is left there."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def test_the_commit_is_there_and_the_tree_is_as_it_was(repository: Repository, temporary: Path) -> None:
    before = repository.state()
    worktree = Worktree("old", repository.path)
    there = Path(worktree.tree.there)
    assert (there / "model.py").read_text() == "SPEED = 1\n"
    assert not (there / "untracked.py").exists()
    assert there.parent.parent == temporary.resolve()
    assert there.name == "project"
    worktree.remove()
    worktree.remove()
    assert repository.state() == before


@pytest.mark.parametrize(("ref", "name"), [("old", "old ({old})"), ("HEAD", "HEAD ({head})"), ("{old}", "{old}")])
def test_it_is_called_by_the_name_given_and_its_hash(repository: Repository, ref: str, name: str) -> None:
    hashes = {
        "old": repository.git("rev-parse", "--short", "old"),
        "head": repository.git("rev-parse", "--short", "HEAD"),
    }
    worktree = Worktree(ref.format(**hashes), repository.path)
    assert worktree.tree.name == name.format(**hashes)
    worktree.remove()


def test_hooks_of_the_repository_do_not_run(repository: Repository) -> None:
    hook = repository.write(".git/hooks/post-checkout", f"#!/bin/sh\ntouch {repository.path}/hooked\n")
    hook.chmod(0o755)
    Worktree("old", repository.path).remove()
    assert not (repository.path / "hooked").exists()


def test_what_a_hook_of_git_says_of_another_repository_is_not_heard(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = Repository.make(tmp_path / "other")
    for name, value in {"GIT_DIR": ".git", "GIT_WORK_TREE": ".", "GIT_INDEX_FILE": ".git/index"}.items():
        monkeypatch.setenv(name, str(other.path / value))
    worktree = Worktree("old", repository.path)
    assert worktree.tree.here == str(repository.path.resolve())
    worktree.remove()


@pytest.mark.parametrize("gone", ["", "worktree", "folder"])
def test_what_a_killed_run_has_left_is_removed_by_the_next(repository: Repository, temporary: Path, gone: str) -> None:
    """Also where others have removed the worktree itself, or all that lies in the system's temporary folder."""
    before = repository.state()
    code = "import os, sys; from pathlib import Path; from pytest_modelperf.plugin.trees.worktree import Worktree\n"
    code += "made = Worktree('old', Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(repository.path)], env=os.environ | {"TMPDIR": str(temporary)})
    (left,) = temporary.iterdir()
    assert repository.state() != before
    if gone:
        shutil.rmtree(left if gone == "folder" else left / repository.path.name)
    Worktree("old", repository.path).remove()
    assert repository.state() == before
    assert not left.exists()


def test_two_runs_leave_each_other_alone(repository: Repository) -> None:
    first, second = Worktree("old", repository.path), Worktree("old", repository.path)
    second.remove()
    assert Path(first.tree.there, "model.py").exists()
    first.remove()


def test_the_user_s_own_worktrees_are_left_even_where_they_are_gone(repository: Repository, tmp_path: Path) -> None:
    repository.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "mine"))
    shutil.rmtree(tmp_path / "mine")
    before = repository.state()
    Worktree("old", repository.path).remove()
    assert repository.state() == before


class TestImportPath:
    def test_src_is_first_where_there_is_one(self, repository: Repository) -> None:
        repository.write("lib/src/x.py", "")
        repository.commit()
        worktree = Worktree("HEAD", repository.path / "lib")
        assert worktree.tree.pythonpath == (f"{worktree.tree.there}/lib/src",)
        assert worktree.tree.rootdir == f"{worktree.tree.there}/lib"
        worktree.remove()

    def test_what_the_user_names_is_taken_instead(self, repository: Repository) -> None:
        worktree = Worktree("old", repository.path, pythonpath=["python", "."])
        assert worktree.tree.pythonpath == (f"{worktree.tree.there}/python", worktree.tree.there)
        worktree.remove()

    def test_a_commit_without_src(self, repository: Repository) -> None:
        repository.write("src/x.py", "")
        worktree = Worktree("old", repository.path)
        assert worktree.tree.pythonpath == ()
        worktree.remove()


class TestLinks:
    def test_a_folder_is_lent_and_is_there_afterwards(self, repository: Repository) -> None:
        worktree = Worktree("old", repository.path, links=["data"])
        assert Path(worktree.tree.there, "data", "weights").read_text() == "0.5"
        worktree.remove()
        assert (repository.path / "data" / "weights").read_text() == "0.5"

    def test_what_the_commit_has_itself_stays_the_commit_s(self, repository: Repository) -> None:
        repository.write("mixed/own", "of the commit")
        repository.commit()
        repository.write("mixed/own", "changed")
        repository.write("mixed/lent", "lent")
        worktree = Worktree("HEAD", repository.path, links=["mixed"])
        there = Path(worktree.tree.there, "mixed")
        assert [(there / name).read_text() for name in ("own", "lent")] == ["of the commit", "lent"]
        worktree.remove()

    @pytest.mark.parametrize(
        ("link", "words"), [("dta", "there is no dta in "), ("..", ".. is no part of the repository")]
    )
    def test_what_cannot_be_lent(self, repository: Repository, link: str, words: str) -> None:
        before = repository.state()
        with pytest.raises(UsageError, match=f"ini modelperf_against_link: {words}"):
            Worktree("old", repository.path, links=[link])
        assert repository.state() == before


class TestUnknown:
    @pytest.mark.parametrize(
        ("ref", "words"),
        [
            ("mian", "no branch, tag or commit of this name; did you mean 'main'?"),
            ("--all", "no branch, tag or commit of this name; known are: main, "),
            ("topic", "did you mean 'origin/topic'?"),
        ],
    )
    def test_the_names_that_are_known(self, repository: Repository, ref: str, words: str) -> None:
        repository.git("update-ref", "refs/remotes/origin/topic", "old")
        with pytest.raises(UsageError) as caught:
            Worktree(ref, repository.path)
        assert str(caught.value).startswith(f"--modelperf-against={ref}: this clone has ")
        assert words in str(caught.value)

    def test_a_shallow_clone(self, repository: Repository, tmp_path: Path) -> None:
        repository.git("clone", "--quiet", "--depth=1", f"file://{repository.path}", str(tmp_path / "shallow"))
        with pytest.raises(UsageError, match=r"is shallow and does not have this commit; .*`fetch-depth: 0`"):
            Worktree("old", tmp_path / "shallow")

    def test_a_repository_without_a_commit(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="has no commit yet; make one"):
            Worktree("main", Repository.make(tmp_path / "empty").path)

    def test_no_repository(self, tmp_path: Path) -> None:
        with pytest.raises(
            UsageError, match=r"needs the git repository of .*not a git repository.*run it in a repository"
        ):
            Worktree("main", tmp_path)

    def test_no_git(self, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        with pytest.raises(
            UsageError, match=r"there is no git; install it, or leave it out: then stored baselines are read"
        ):
            Worktree("main", repository.path)

    def test_no_room(self, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
        before = repository.state()
        (repository.path / ".git" / "worktrees").write_text("in the way")
        with pytest.raises(UsageError, match="git cannot check it out into"):
            Worktree("main", repository.path)
        (repository.path / ".git" / "worktrees").unlink()
        assert repository.state() == before


def test_a_process_that_was_forked_off_removes_nothing(repository: Repository) -> None:
    worktree = Worktree("old", repository.path)
    child = os.fork()
    if child == 0:
        worktree.remove()
        os._exit(0)
    os.waitpid(child, 0)
    assert Path(worktree.tree.there, "model.py").exists()
    worktree.remove()
