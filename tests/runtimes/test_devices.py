"""The devices of this machine, asked in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_modelperf.errors import PeerLost
from pytest_modelperf.runtimes import cuda_driver, devices


def test_the_cpu_is_always_there_with_its_name() -> None:
    found = devices.ask_present()
    assert next(iter(found)) == "cpu"
    assert found["cpu"].endswith(f"× {os.cpu_count()}")
    assert len(found["cpu"]) > len("× 64")


def test_the_one_that_asks_imports_no_framework() -> None:
    code = (
        "import sys; from pytest_modelperf.runtimes.devices import ask_present; ask_present(); "
        "sys.exit(str(sorted({'torch', 'onnxruntime', 'openvino', 'numpy'} & set(sys.modules))))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.stderr.strip() == "[]"


def test_without_torch_onnxruntime_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_of_torch", dict)
    monkeypatch.setattr(devices, "_of_onnxruntime", lambda: {"cuda:0": "NVIDIA H200"})
    assert devices.present()["cuda:0"] == "NVIDIA H200"


def test_tensorflow_is_asked_where_the_driver_has_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for other in ("_of_torch", "_of_onnxruntime", "_of_openvino"):
        monkeypatch.setattr(devices, other, dict)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("pytest_modelperf.runtimes.tensorflow_devices.accelerators", lambda: {"cuda:0": "NVIDIA L4"})
    monkeypatch.setattr(cuda_driver, "names", tuple)
    assert list(devices.present()) == ["cpu"]
    monkeypatch.setattr(cuda_driver, "names", lambda: ("NVIDIA L4",))
    assert devices.present()["cuda:0"] == "NVIDIA L4"


def test_openvino_has_devices_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_of_torch", lambda: {"cuda:0": "NVIDIA H200"})
    monkeypatch.setattr(devices, "_of_openvino", lambda: {"gpu:0": "Intel Arc"})
    assert list(devices.present()) == ["cpu", "cuda:0", "gpu:0"]


def test_without_any_framework_there_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert list(devices.present()) == ["cpu"]


@pytest.mark.parametrize("on_path", [False, True])
def test_a_file_of_the_users_is_taken_for_no_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_path: bool
) -> None:
    """Nor where pytest has put the folder on our path."""
    for name in ("torch", "json", "statistics", "secrets"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('taken for {name}')")
    monkeypatch.chdir(tmp_path)
    if on_path:
        monkeypatch.syspath_prepend(tmp_path)
    assert "cpu" in devices.ask_present()


def test_folders_on_our_path_alone_are_looked_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed where only our path leads is found."""
    monkeypatch.setattr(devices, "present", dict)
    monkeypatch.setattr(sys, "path", own := list(sys.path))
    path = list(own)
    devices.main(str(tmp_path), *path)
    assert own == [*path, str(tmp_path)]


def test_no_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PeerLost, match=r"not told within 0.01 s; run `.*` to see why, or name the device"):
        devices.ask_present(timeout_s=0.01)


def test_an_answer_that_fails_is_told_with_its_last_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    failing = tmp_path / "python"
    failing.write_text("#!/bin/sh\necho first >&2\necho 'driver mismatch' >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(failing))
    with pytest.raises(PeerLost, match=r"could not be told: driver mismatch; run"):
        devices.ask_present()
