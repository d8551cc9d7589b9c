from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from pytest_modelperf.domain.host import Host
from pytest_modelperf.plugin.running.absent_devices import none_there, parted, required, unused
from pytest_modelperf.plugin.twins.messages import Terms

TERMS = Terms(("cpu",), {}, (), 0.05, False, 1.0, runtime="torch", by_default=True)
DEVICES = ("cpu:threads=2", "cuda:0", "cuda:1")


def settings(missing_device: str = "", *, in_ci: bool = False) -> Any:
    return SimpleNamespace(missing_device=missing_device, in_ci=in_ci)


def test_who_must_be_there() -> None:
    assert required(DEVICES, settings(), named=True) == ()
    assert required(("cuda:0", "cuda:1"), settings(in_ci=True), named=True) == ("cuda:0", "cuda:1")
    # Who names the CPU, too, has said what to go on with.
    assert required(DEVICES, settings(in_ci=True), named=True) == ()
    assert required(DEVICES, settings(in_ci=True), named=False) == ()
    assert required(DEVICES, settings("skip", in_ci=True), named=True) == ()
    assert required(DEVICES, settings("fail"), named=False) == DEVICES


def test_what_is_missing_is_parted_by_that() -> None:
    terms = Terms(DEVICES, {"npu:0": "not asked for"}, (), 0.05, False, 1.0, required=("cuda:0",))
    without, lost = parted(terms, {"cuda:0": "no driver", "cuda:1": "no such card"})
    assert without == {"cuda:1": "no such card"}
    assert list(lost) == ["cuda:0"]
    assert lost["cuda:0"].startswith("no driver; where it may be away")
    assert none_there(terms, without) == "no device to measure on: npu:0: not asked for; cuda:1: no such card"


@pytest.mark.parametrize(
    ("changed", "accelerators", "said"),
    [
        ({}, ("NVIDIA H200", "NVIDIA H200"), True),
        ({}, (), False),
        ({"by_default": False}, ("NVIDIA H200",), False),
        ({"runtime": "openvino"}, ("NVIDIA H200",), False),
        ({"devices": ("cuda:0",)}, ("NVIDIA H200",), False),
    ],
)
def test_accelerators_that_nobody_sees(changed: dict[str, Any], accelerators: tuple[str, ...], said: bool) -> None:
    found = unused(msgspec.structs.replace(TERMS, **changed), Host("a CPU", 2, 2**30, accelerators))
    assert found.startswith("measured on the CPU, for torch sees no accelerator") == said
    assert found.count("NVIDIA H200") == said
