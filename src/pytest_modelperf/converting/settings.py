"""Settings of runtimes that a variant is tried with: which there are, and a walk through them from the defaults."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile

import psutil

from ..domain.device import Device

# Options by their runtimes' own names, with their values.
Settings = Mapping[str, object]


@dataclass(frozen=True)
class Knob:
    """An option of a runtime, and the values beside its default that may be faster.

    Of `ordered` values the next is farther from the default: where one does not win the others are not tried.
    """

    option: str
    values: tuple[object, ...]
    ordered: bool = False


def knobs_of(runtime: str, device: Device, given: Settings) -> list[Knob]:
    """What can be tried with a runtime on a device, but for what the test settles: threads of the device, options."""
    table = _KNOBS.get(runtime)
    if table is None or device.kind != "cpu":
        return []
    settled = {*given, *(_THREADS.values() if device.threads else ())}
    return [knob for knob in (*_threads(runtime), *table) if knob.option not in settled and knob.values]


@dataclass(frozen=True)
class Walked:
    """Where a walk came to: settings, after so many steps were `tried` to their end; none is left where it `ended`."""

    settings: Settings
    tried: int
    ended: bool


def walk(knobs: Sequence[Knob], wins: Callable[[Settings], bool], has_time: Callable[[], bool]) -> Walked:
    """To where no step along one coordinate wins any more, from the defaults; as far as there is time.

    `wins(settings)` tries them against what has won last, or the defaults before that. None is tried twice.
    """
    chosen: Settings = {}
    tried: list[Settings] = [chosen]
    moved = True
    while moved:
        moved = False
        for knob in knobs:
            for value in knob.values:
                step = {**chosen, knob.option: value}
                if step in tried:
                    if knob.ordered and step != chosen:
                        break
                    continue
                if not has_time():
                    return Walked(chosen, len(tried) - 1, ended=False)
                won = wins(step)
                if not (won or has_time()):
                    # Whether it would have won is not known.
                    return Walked(chosen, len(tried) - 1, ended=False)
                tried.append(step)
                if won:
                    chosen, moved = step, True
                elif knob.ordered:
                    break
    return Walked(chosen, len(tried) - 1, ended=True)


def shown(settings: Settings) -> tuple[str, ...]:
    """The settings for people: `("1 thread", "no arena")`."""
    return tuple(_LABELS[option](value) for option, value in settings.items())


def _threads(runtime: str) -> list[Knob]:
    """From the default step by step: halves of the number of cores, or from one up to them; and all that these run."""
    logical, cores = _processors()
    steps = _doubled(cores) if runtime in _OF_ONE_THREAD else _halved(cores)
    more = (logical,) if logical > cores else ()
    return [Knob(_THREADS[runtime], steps, ordered=True), Knob(_THREADS[runtime], more)]


def _halved(cores: int) -> tuple[int, ...]:
    return (cores // 2, *_halved(cores // 2)) if cores > 1 else ()


def _doubled(cores: int) -> tuple[int, ...]:
    powers = takewhile(lambda number: number < cores, (2**power for power in count(1)))
    return (*powers, cores) if cores > 1 else ()


def _processors() -> tuple[int, int]:
    """How many this process may use, and how many cores these are at most."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return usable, min(usable, psutil.cpu_count(logical=False) or usable)


_ORT_THREADS, _OPENVINO_THREADS, TORCH_THREADS = "intra_op_num_threads", "INFERENCE_NUM_THREADS", "threads"
LITERT_THREADS = TORCH_THREADS
_THREADS = {
    "onnxruntime": _ORT_THREADS,
    "openvino": _OPENVINO_THREADS,
    "torch": TORCH_THREADS,
    "litert": LITERT_THREADS,
}
# By default the others take as many as there are cores.
_OF_ONE_THREAD = ("litert",)
_KNOBS: dict[str, tuple[Knob, ...]] = {
    "onnxruntime": (
        # One level lower: what the highest changes of the layout of tensors may cost more than it gains.
        Knob("graph_optimization_level", ("ORT_ENABLE_EXTENDED",)),
        Knob("execution_mode", ("ORT_PARALLEL",)),
        Knob("enable_cpu_mem_arena", (False,)),
    ),
    # Its default is the hint for latency, with one stream; the other hint has several, of fewer threads each.
    "openvino": (Knob("PERFORMANCE_HINT", ("THROUGHPUT",)), Knob("ENABLE_CPU_PINNING", (False,))),
    "torch": (),
    "litert": (),
}


def _counted(value: object) -> str:
    return f"{value} thread{'' if value == 1 else 's'}"


_LABELS: dict[str, Callable[[object], str]] = {
    **dict.fromkeys(_THREADS.values(), _counted),
    "graph_optimization_level": lambda value: f"graph level {str(value).rpartition('_')[2].lower()}",
    "execution_mode": lambda value: "operators in parallel",
    "enable_cpu_mem_arena": lambda value: "no arena",
    "PERFORMANCE_HINT": lambda value: f"{str(value).lower()} hint",
    "ENABLE_CPU_PINNING": lambda value: "threads not pinned",
}
