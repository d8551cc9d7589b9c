"""Devices, threads and memory as TensorFlow tells them; a stand-in has the GPUs, and threads that can be set once."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.session import DeviceMemory
from pytest_modelperf.errors import DeviceMissing, MissingLibrary, UsageError
from pytest_modelperf.runtimes import cuda_driver
from pytest_modelperf.runtimes import tensorflow_devices as devices
from pytest_modelperf.runtimes.tensorflow_devices import GIVEN_THREADS, INTER_THREADS, INTRA_THREADS

CPU = Device("cpu")


class Threading:
    """`tf.config.threading`: another number than the one that is set is too late once a tensor was made."""

    def __init__(self) -> None:
        self.intra, self.inter, self.used = 0, 0, False

    def get_intra_op_parallelism_threads(self) -> int:
        return self.intra

    def set_intra_op_parallelism_threads(self, number: int) -> None:
        self._check(number != self.intra)
        self.intra = number

    def set_inter_op_parallelism_threads(self, number: int) -> None:
        self._check(number != self.inter)
        self.inter = number

    def _check(self, other: bool) -> None:
        if self.used and other:
            raise RuntimeError("Intra op parallelism cannot be modified after initialization.")


class FakeTensorFlow:
    """The parts of the module that tell of devices."""

    __version__ = "2.21.0"

    def __init__(self, *gpus: str) -> None:
        self.threading = Threading()
        self.peaks = {f"/GPU:{index}": 7_000 for index in range(len(gpus))}
        experimental = SimpleNamespace(
            get_device_details=lambda gpu: {"device_name": gpu},
            get_memory_info=lambda place: {"current": 1, "peak": self.peaks[place]},
            reset_memory_stats=lambda place: self.peaks.update({place: 0}),
        )
        self.config = SimpleNamespace(
            threading=self.threading, list_physical_devices=lambda kind: list(gpus), experimental=experimental
        )
        build = {"cuda_version": "12.5.1", "cudnn_version": "9"}
        self.sysconfig = SimpleNamespace(get_build_info=lambda: build if gpus else {})


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (INTRA_THREADS, INTER_THREADS, GIVEN_THREADS, "TF_CPP_MIN_LOG_LEVEL", "TF_FORCE_GPU_ALLOW_GROWTH"):
        # Set first: what was not there is taken away again afterwards.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, environment: None) -> Any:
    """Puts a stand-in in the place of the module."""

    def made(*gpus: str) -> FakeTensorFlow:
        fake = FakeTensorFlow(*gpus)
        monkeypatch.setattr(devices, "import_tensorflow", lambda: fake)
        return fake

    devices.accelerators.cache_clear()
    yield made
    devices.accelerators.cache_clear()


def test_gpus_are_called_as_elsewhere(make: Any) -> None:
    make("NVIDIA H200", "NVIDIA L4")
    assert devices.accelerators() == {"cuda:0": "NVIDIA H200", "cuda:1": "NVIDIA L4"}
    assert [devices.place(Device.parse(name)) for name in ("cpu", "cpu:threads=2", "cuda:1")] == [
        "/CPU:0",
        "/CPU:0",
        "/GPU:1",
    ]
    devices.check(Device("cuda", 1))
    with pytest.raises(DeviceMissing, match=r"'cuda:2' here; there are: cpu, cuda:0 \(NVIDIA H200\), .*and-cuda"):
        devices.check(Device("cuda", 2))


def test_memory_is_the_allocator_s_on_a_gpu_alone(make: Any) -> None:
    make("NVIDIA H200")
    gpu = Device("cuda")
    assert devices.peak(gpu) == DeviceMemory(7_000, None)
    devices.reset_peak(gpu)
    assert devices.peak(gpu) == DeviceMemory(0, None)
    devices.reset_peak(CPU)
    assert devices.peak(CPU) is None


def test_versions(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_driver, "version", lambda: "580.1")
    make("NVIDIA H200")
    assert devices.versions(CPU) == {"tensorflow": "2.21.0"}
    assert devices.versions(Device("cuda")) == {
        "tensorflow": "2.21.0",
        "cuda": "12.5.1",
        "cudnn": "9",
        "driver": "580.1",
    }


def test_threads_of_a_process_that_has_not_used_tensorflow(make: Any) -> None:
    fake = make()
    devices.set_threads(Device("cpu", threads=2))
    # More for the operators than one would be more threads than were asked for.
    assert (fake.threading.intra, fake.threading.inter) == (2, 1)
    devices.set_threads(Device("cpu", threads=1))
    assert (fake.threading.intra, fake.threading.inter) == (1, 1)
    # Those that were given are not what another test takes for the default.
    devices.set_threads(CPU)
    assert (fake.threading.intra, fake.threading.inter) == (0, 0)


def test_threads_that_come_too_late(make: Any) -> None:
    fake = make()
    devices.set_threads(Device("cpu", threads=2))
    fake.threading.used = True
    devices.set_threads(Device("cpu", threads=2))
    with pytest.raises(UsageError, match=r"'cpu:threads=1' cannot be had in this process: .* with threads=2, which is"):
        devices.set_threads(Device("cpu", threads=1))
    with pytest.raises(UsageError, match=r"'cpu' cannot be had .*Name the devices in the marker, not in the call, and"):
        devices.set_threads(CPU)
    fake = make()
    os.environ.pop(GIVEN_THREADS)
    fake.threading.used = True
    devices.set_threads(CPU)
    with pytest.raises(UsageError, match=r"its default number of threads, .*set TF_NUM_INTRAOP_THREADS before pytest"):
        devices.set_threads(Device("cpu", threads=1))


def test_threads_that_the_user_has_set_are_the_default(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = make()
    fake.threading.intra, fake.threading.used = 3, True
    devices.set_threads(CPU)
    assert devices.threads() == 3
    devices.set_threads(Device("cpu", threads=3))
    fake = make()
    fake.threading.used = True
    monkeypatch.setenv(INTRA_THREADS, "4")
    devices.set_threads(Device("cpu", threads=4))
    devices.set_threads(CPU)
    assert devices.threads() == 4


def test_a_process_is_prepared_for_fixtures_that_use_tensorflow(make: Any) -> None:
    devices.prepare_environment(Device("cpu", threads=2))
    assert os.environ[INTRA_THREADS] == "2"
    assert os.environ[INTER_THREADS] == "1"
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    fake = make()
    fake.threading.used = True
    devices.set_threads(Device("cpu", threads=2))
    with pytest.raises(UsageError, match="'cpu' cannot be had in this process"):
        devices.set_threads(CPU)
    # As long as nothing has used it, another number can be had.
    fake.threading.used = False
    devices.set_threads(CPU)
    assert devices.threads() == 0
    assert INTRA_THREADS not in os.environ


def test_what_the_user_has_set_is_not_overridden(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = {"TF_CPP_MIN_LOG_LEVEL": "0", "TF_FORCE_GPU_ALLOW_GROWTH": "false", INTER_THREADS: "8"}
    for name, value in theirs.items():
        monkeypatch.setenv(name, value)
    devices.prepare_environment(Device("cpu", threads=2))
    assert {name: os.environ[name] for name in theirs} == theirs
    assert INTRA_THREADS not in os.environ


def test_a_missing_library_names_the_extra(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorflow", None)
    with pytest.raises(MissingLibrary, match=r"needs tensorflow .*pip install 'pytest-modelperf\[tensorflow\]'"):
        devices.import_tensorflow()
