"""What builds engines, added to the stand-in for TensorRT: names and signatures of TensorRT's Python API, 10 and 11."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import onnx
import pytest
from runtimes import tensorrt_stand_in as stand_in

from pytest_modelperf.runtimes.onnx_graph import read_file


class Flags10(Enum):
    FP16, TF32, BF16 = range(3)


class Flags11(Enum):
    TF32 = 1


class OptimizationProfile:
    def __init__(self) -> None:
        self.shapes: dict[str, list[list[int]]] = {}
        self.of_values: set[str] = set()

    def set_shape(self, input: str, min: Sequence[int], opt: Sequence[int], max: Sequence[int]) -> None:
        assert all(low <= best <= high for low, best, high in zip(min, opt, max, strict=True))
        self.shapes[input] = [list(min), list(opt), list(max)]

    def set_shape_input(self, input: str, min: Sequence[int], opt: Sequence[int], max: Sequence[int]) -> None:
        self.set_shape(input, min, opt, max)
        self.of_values.add(input)


class TimingCache:
    def __init__(self, known: bytes) -> None:
        self.known = known

    def serialize(self) -> bytes:
        return self.known + b"timings"


class BuilderConfig:
    def __init__(self) -> None:
        # On unless it is cleared, as TensorRT has it.
        self.flags: set[str] = {"TF32"}
        self.profiles: list[OptimizationProfile] = []
        self.cache: TimingCache | None = None

    def set_flag(self, flag: Enum) -> None:
        self.flags.add(flag.name)

    def clear_flag(self, flag: Enum) -> None:
        self.flags.discard(flag.name)

    def add_optimization_profile(self, profile: OptimizationProfile) -> int:
        if any(sizes[0] == [0] for sizes in profile.shapes.values()):
            return -1
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> TimingCache:
        return TimingCache(serialized_timing_cache)

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
        if cache.known == b"of another GPU":
            return False
        self.cache = cache
        return True

    def get_timing_cache(self) -> TimingCache:
        assert self.cache is not None
        return self.cache


class NetworkTensor:
    def __init__(self, name: str) -> None:
        self.name, self.is_shape_tensor = name, name == "sizes"


class Network:
    path = ""

    @property
    def num_inputs(self) -> int:
        return len(read_file(Path(self.path)).signature.inputs)

    def get_input(self, index: int) -> NetworkTensor:
        return NetworkTensor(read_file(Path(self.path)).signature.inputs[index].name)


class ParserError:
    def desc(self) -> str:
        return "No importer registered for op: Strange"


class OnnxParser:
    def __init__(self, network: Network, logger: Any) -> None:
        assert logger.made
        self._network = network
        self.num_errors = 0

    def parse_from_file(self, path: str) -> bool:
        self._network.path = path
        self.num_errors = sum(node.op_type == "Strange" for node in onnx.load(path).graph.node)
        return not self.num_errors

    def get_error(self, index: int) -> ParserError:
        return ParserError()


class Builder:
    """Builds the network of the conformance suite, whatever was parsed, for the GPU that is current."""

    def __init__(self, logger: Any, cuda: stand_in.Cuda) -> None:
        self._logger, self._device = logger, cuda.device

    def create_network(self, flags: int = 0) -> Network:
        assert flags == 0
        return Network()

    def create_builder_config(self) -> BuilderConfig:
        return BuilderConfig()

    def create_optimization_profile(self) -> OptimizationProfile:
        return OptimizationProfile()

    def build_serialized_network(self, network: Network, config: BuilderConfig) -> bytes | None:
        known = read_file(Path(network.path)).signature.inputs
        sizes = {one.name: [size if isinstance(size, int) else -1 for size in one.shape or ()] for one in known}
        if any(set(profile.shapes) != set(sizes) for profile in config.profiles):
            self._logger.log(stand_in.Severity.ERROR, "dynamic input is missing dimensions in the profile")
            return None
        parsed = onnx.load(network.path)
        said = {
            "inputs": {name: ["FLOAT", size] for name, size in sizes.items()},
            "outputs": {"y": ["FLOAT", sizes["x"]]},
            "profiles": [profile.shapes for profile in config.profiles],
            "of values": sorted(set().union(*(profile.of_values for profile in config.profiles))),
            "device": self._device,
            "computes": "network",
            "version": stand_in.VERSION,
            "flags": sorted(config.flags),
            "halves": sum(one.data_type == onnx.TensorProto.FLOAT16 for one in parsed.graph.initializer),
        }
        return stand_in.MAGIC + json.dumps(said).encode() + b"\n"


@contextmanager
def installed(flags: type[Enum] = Flags11) -> Iterator[stand_in.Cuda]:
    """TensorRT with its builder, whose flags are those of version 10 or 11, and GPUs, as far as anybody can tell."""
    with stand_in.installed() as cuda, pytest.MonkeyPatch.context() as patch:
        trt: Any = sys.modules["tensorrt"]
        trt.__spec__ = ModuleSpec("tensorrt", None)
        builder = partial(Builder, cuda=cuda)
        for name, value in {"Builder": builder, "OnnxParser": OnnxParser, "BuilderFlag": flags}.items():
            patch.setattr(trt, name, value, raising=False)
        yield cuda


def told(engine: bytes) -> dict[str, Any]:
    """What an engine was built with."""
    found: dict[str, Any] = json.loads(engine[len(stand_in.MAGIC) :].partition(b"\n")[0])
    return found
