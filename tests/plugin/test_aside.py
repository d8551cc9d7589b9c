from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelperf.plugin import aside


def test_git_is_told_to_pass_over_all_of_it(tmp_path: Path) -> None:
    root = tmp_path / aside.NAME
    assert aside.make(root, root / "converters" / "test_a") == root / "converters" / "test_a"
    assert (root / "converters" / "test_a").is_dir()
    assert (root / ".gitignore").read_text() == "*\n"


def test_a_folder_may_be_there_already(tmp_path: Path) -> None:
    root = tmp_path / aside.NAME
    (aside.make(root, root) / "summary.log").write_text("kept")
    aside.make(root, root)
    assert (root / "summary.log").read_text() == "kept"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cuda:0 batch=8 at main (3fa2b1c)", "cuda_0_batch=8_at_main_3fa2b1c_"),
        ("openvino-bf16", "openvino-bf16"),
        ("../etc/passwd", ".._etc_passwd"),
    ],
)
def test_names_that_every_file_system_takes(text: str, name: str) -> None:
    assert aside.file_name(text) == name
