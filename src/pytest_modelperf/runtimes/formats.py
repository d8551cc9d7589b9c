"""Formats of model files: what a file seems to be, and what to do today with those that no runtime executes."""

from __future__ import annotations

import zipfile
from pathlib import Path

_WEIGHTS = (
    "it holds weights without the model: write a fixture that builds the module and loads the weights into it, "
    "and pass the module"
)
_CALL = "load it in a fixture and pass a function that calls it"
# The page that shows how a runtime is added.
PAGE = "docs/how-to/own-runtime.md"
_ADD = f"{_CALL}, or add a runtime for it ({PAGE} of pytest-modelperf)"

# Suffix → (what such a file is, what to do with it).
FOREIGN: dict[str, tuple[str, str]] = {
    ".pth": ("a PyTorch checkpoint", _WEIGHTS),
    ".ckpt": ("a checkpoint", _WEIGHTS),
    ".bin": ("a file of weights", _WEIGHTS),
    ".safetensors": ("a safetensors file", _WEIGHTS),
    ".gguf": ("a GGUF file", _ADD),
    ".pb": (
        "a TensorFlow graph",
        "pass the folder of its SavedModel, or load it in a fixture and pass a tf.function that calls it",
    ),
    ".mindir": ("a MindSpore model", _ADD),
    ".ms": ("a MindSpore Lite model", _ADD),
    ".rknn": ("an RKNN model", _ADD),
    ".mlmodel": ("a Core ML model", _ADD),
    ".mlpackage": ("a Core ML model", _ADD),
    ".ort": ("an ONNX Runtime flatbuffer", "pass the ONNX file that it was made from"),
    ".pkl": ("a Python pickle", f"it is not opened, since that runs whatever code is in it; {_CALL}"),
    ".pickle": ("a Python pickle", f"it is not opened, since that runs whatever code is in it; {_CALL}"),
    ".joblib": ("a joblib pickle", f"it is not opened, since that runs whatever code is in it; {_CALL}"),
}

# A file that a folder holds → (what such a folder is, what to do with it).
FOLDERS: dict[str, tuple[str, str]] = {
    "config.json": (
        "a transformers checkpoint",
        "load it in a fixture (AutoModel.from_pretrained) and pass the module",
    ),
    "Manifest.json": ("a Core ML model", _ADD),
}

# First bytes → what a file that begins with them seems to be, for people.
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself: run `git lfs pull`"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x80", "a Python pickle"),
    (b"\x93NUMPY", "a numpy array"),
    (b"GGUF", "a GGUF file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"{", "JSON"),
)
_MARKUP = (b"<!doctype html", b"<html", b"<?xml")
_HEAD_BYTES = 512


def seems(path: Path) -> str:
    """What a file that is not what its name says seems to be, by its first bytes: `"an HDF5 file"`; "" for no idea."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return "an empty file"
    for beginning, what in _BEGINNINGS:
        if head.startswith(beginning):
            return what
    if head.startswith(b"PK"):
        return "a zip archive without a model" if zipfile.is_zipfile(path) else "a zip archive that is cut short"
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    if head.lstrip().lower().startswith(_MARKUP):
        return "an HTML or XML page: a download that failed?"
    return "plain text" if _is_text(head) else ""


def foreign(path: Path) -> tuple[str, str] | None:
    """What `path` is and what to do with it, where its format is known and no runtime of ours executes it."""
    if path.is_dir():
        marks = [what for mark, what in FOLDERS.items() if (path / mark).exists()]
        return marks[0] if marks else FOREIGN.get(path.suffix.lower())
    return FOREIGN.get(path.suffix.lower())


def _is_text(head: bytes) -> bool:
    try:
        return head.decode("ascii").replace("\n", "").replace("\r", "").replace("\t", "").isprintable()
    except UnicodeDecodeError:
        return False
