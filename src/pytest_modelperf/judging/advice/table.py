"""The table of rules, and what they say of a test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ...domain.advice import Advice, Rule, Seen
from ...domain.own_code import place
from ...errors import in_words
from . import counted, operators, sweeps

# Each has a test with a real model that has the fault, and one with a model that has not (tests/judging/advice).
RULES: tuple[Rule, ...] = (
    Rule(
        "larger batch",
        "a sweep over `batch`",
        f"throughput at the largest batch is surely {sweeps.STILL_RISES:g} times that at half of it, the "
        f"budget is held there, and no more than {sweeps.BUSY:.0%} of the peak is used, where that is known",
        "the line of the marker that measures larger ones",
        sweeps.larger_batch,
    ),
    Rule(
        "fewer threads",
        "a sweep over devices, `cpu:threads=1,cpu:threads=2`",
        "fewer threads are surely faster, and nobody else had the CPUs",
        "the device with fewer threads, and the call or option that sets them",
        sweeps.fewer_threads,
    ),
    Rule(
        "casts",
        "a profile",
        f"`aten::_to_copy`, `Cast` or `Convert`, with their copies, take {operators.WORTH:.0%} of a call",
        "one dtype from the input to the output, or halves in place of autocast, and the lines that cast (torch)",
        operators.casts,
    ),
    Rule(
        "layouts",
        "a profile",
        f"clones, transposes and pads, with their copies, take {operators.WORTH:.0%} of a call, and of torch lines "
        "of code ask for most of them",
        "`channels_last` where torch convolves as often, else one order of axes, or no pads; the lines (torch)",
        operators.layouts,
    ),
    Rule(
        "values read by Python",
        "a profile",
        f"`item()` and what calls it (`float()`, `bool()`, `if`) take {operators.WORTH:.0%} of a call",
        "what does the same in tensors, and the lines that read (torch)",
        operators.reads,
    ),
    Rule(
        "half precision",
        "a profile, and counts",
        f"products of float32 take {operators.MOSTLY:.0%} of a call of torch, "
        f"{operators.LONG_PRODUCT_S * 1e6:.0f} µs or more each, every weight serves {operators.USES_OF_A_WEIGHT} "
        "samples, and the CPU has `avx512_bf16` or `amx_bf16`",
        "the line that makes it bfloat16",
        operators.half_precision,
    ),
    Rule(
        "half precision of OpenVINO",
        "a profile",
        f"products of float32 take {operators.MOSTLY:.0%} of a call, and the CPU has `avx512_bf16` or `amx_bf16`",
        "the option that computes in bfloat16",
        operators.half_precision_of_openvino,
    ),
    Rule(
        "small operators",
        "a count (every run); the gain from a profile",
        f"{counted.MANY_CALLS} or more calls of torch's operators on a CPU, of {counted.SMALL_CALL_S * 1e6:.0f} µs or "
        "less on average, all in all",
        "`torch.compile`, or the export to ONNX Runtime",
        counted.small_operators,
    ),
    Rule(
        "fallback nodes",
        "a count (every run); the time from a profile of onnxruntime",
        f"`counters.fallback_nodes` is above 0, and with a profile the CPU takes {counted.WORTH:.0%} of a call",
        "other operators, or the CPU alone",
        counted.fallback,
    ),
    Rule(
        "compiled at every start",
        "a count (every run)",
        f"`torch.compile` has compiled regions, and the first call takes {counted.LONG_START_S:g} s or more, "
        f"{counted.MUCH_LONGER:g} times as long as others, and no folder is set for the compiled code",
        "the variable that keeps the compiled code",
        counted.compiled_at_start,
    ),
    Rule(
        "bound by memory",
        "counts and the measured peak of the CPU (every run)",
        "reading the weights once takes "
        f"{counted.BOUND_BY_READING[0]:.0%} of a call or more, and what they are used for less than half of that",
        "a larger batch where there is an axis and none was measured, or weights of half the bytes",
        counted.bound_by_weights,
    ),
)


@dataclass(frozen=True)
class Advised:
    """All advice on a test, the largest gain first; `problems` tell of rules that could not say."""

    advice: tuple[Advice, ...]
    problems: tuple[str, ...] = ()


def advise(cases: Iterable[Seen], rules: Sequence[Rule] = RULES) -> Advised:
    """What the rules say of these cases."""
    advice: list[Advice] = []
    problems: list[str] = []
    for seen in cases:
        for rule in rules:
            try:
                advice += [replace(one, rule=rule.name, case=seen.point.case.key) for one in rule.look(seen)]
            except Exception as error:  # noqa: BLE001 - a rule of the user's may raise anything: a note, no lost test
                name = getattr(rule, "name", rule)
                where = place(error.__traceback__)
                what = in_words(error) + (f" ({where})" if where else "")
                problems.append(f"the rule of advice {name!r} failed: {what}")
    advice.sort(key=lambda one: -one.gain)
    return Advised(tuple(advice), tuple(dict.fromkeys(problems)))
