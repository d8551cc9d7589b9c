"""What files seem to be, and what to do with those that no runtime executes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from pytest_modelperf.runtimes.formats import FOREIGN, PAGE, foreign, seems

# Formats of devices that only a runtime of one's own can execute.
OF_DEVICES = (".gguf", ".mindir", ".ms", ".rknn", ".mlmodel", ".mlpackage")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "an empty file"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\x80\x04\x95", "a Python pickle"),
        (b"\x93NUMPY\x01", "a numpy array"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid",
            "a Git LFS pointer, not the file itself: run `git lfs pull`",
        ),
        (b"\n<!DOCTYPE html><html>", "an HTML or XML page: a download that failed?"),
        (b'{"error": 404}', "JSON"),
        (b"\x1c\x00\x00\x00TFL3", "a TensorFlow Lite model"),
        (b"Not found\r\n", "plain text"),
        (b"PK\x03\x04 and then nothing", "a zip archive that is cut short"),
        (b"\x1f\x8b\x08", "a gzip archive"),
        (b"GGUF\x03", "a GGUF file"),
        (b"\x08\x07\xff\xfe", ""),
    ],
)
def test_first_bytes_tell(tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert seems(path) == what


def test_a_whole_zip_archive_is_told_from_a_cut_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme", "hello")
    assert seems(path) == "a zip archive without a model"


@pytest.mark.parametrize("suffix", FOREIGN)
def test_every_foreign_format_says_what_to_do(tmp_path: Path, suffix: str) -> None:
    found = foreign(tmp_path / f"model{suffix.upper()}")
    assert found is not None
    what, remedy = found
    assert what.startswith(("a ", "an "))
    assert "pass " in remedy


def test_formats_of_devices_are_answered_with_the_page_that_adds_a_runtime(tmp_path: Path) -> None:
    assert (Path(__file__).parents[2] / PAGE).is_file()
    named = {suffix for suffix, (_, remedy) in FOREIGN.items() if f"add a runtime for it ({PAGE} of" in remedy}
    assert named == set(OF_DEVICES)
    (tmp_path / "Manifest.json").touch()
    assert PAGE in (foreign(tmp_path) or ("", ""))[1]


@pytest.mark.parametrize(
    ("mark", "what"),
    [("Manifest.json", "a Core ML model"), ("config.json", "a transformers checkpoint")],
)
def test_a_folder_is_told_by_what_it_holds(tmp_path: Path, mark: str, what: str) -> None:
    (tmp_path / mark).touch()
    found = foreign(tmp_path)
    assert found is not None
    assert found[0] == what


def test_what_is_not_known(tmp_path: Path) -> None:
    assert foreign(tmp_path) is None
    assert foreign(tmp_path / "model.xyz") is None
