"""Outputs: whether a model of the same weights, asked the same, still answers the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from ..domain.baseline import CaseRecord, OutputSample
from ..domain.precision import difference, loosest, permitted, same_dtype, scale_difference
from ..domain.verdict import Finding

PATH = "outputs"


def compare_outputs(now: CaseRecord, then: CaseRecord) -> tuple[Finding, ...]:
    """What has become of the answers of a case, output by output; nothing of those that are the same.

    *Wrong* is an output that is missing, has another shape or dtype, values that have become no numbers, or values
    that differ by more than its dtype permits, as a part of its scale (`domain/precision.py`). Where nobody tells the
    weights (a function), what differs is *uncertain*: the weights may be others. What is not compared says why: other
    or unknown inputs, other weights, an output that differs between two equal calls, one that is new.
    """
    if not then.outputs:
        return ()
    obstacle = _obstacle(now, then)
    if obstacle:
        return (_not_compared(obstacle),)
    found = tuple(_changes(now, then))
    return found if now.weights else tuple(map(_doubted, found))


def _obstacle(now: CaseRecord, then: CaseRecord) -> str:
    """Why the answers say nothing of each other; "" where they do."""
    if not now.inputs or not then.inputs:
        return "what the inputs hold that are passed as they are cannot be told; give them as arrays of numpy"
    if now.inputs != then.inputs:
        return "the values of the inputs are others"
    if now.weights != then.weights:
        return "the weights are others" if now.weights and then.weights else "the weights are known on one side only"
    return ""


def _doubted(finding: Finding) -> Finding:
    if finding.word != "wrong":
        return finding
    return replace(finding, word="uncertain", evidence=f"{finding.evidence}; weights unknown: they may be others")


def _changes(now: CaseRecord, then: CaseRecord) -> Iterator[Finding]:
    for name, before in sorted(then.outputs.items()):
        if name in now.outputs:
            yield from _compared(f"output {name!r}", now.outputs[name], before)
        elif _repeats(before):
            yield _wrong(f"output {name!r} is missing")
        else:
            yield _drawn(f"output {name!r}")
    for name in sorted(now.outputs.keys() - then.outputs.keys()):
        yield _not_compared(f"output {name!r} is new")


def _compared(name: str, now: OutputSample, then: OutputSample) -> Iterator[Finding]:
    # First of all: what is drawn may be of another length, and on another scale, in every call.
    if not (_repeats(now) and _repeats(then)):
        yield _drawn(name)
    elif now.shape != then.shape:
        yield _wrong(f"{name} has the shape {now.shape}, it had {then.shape}")
    elif not same_dtype(now.dtype, then.dtype):
        yield _wrong(f"{name} is {now.dtype}, it was {then.dtype}")
    elif len(now.values) != len(then.values):
        yield _not_compared(f"{name}: the baseline keeps {len(then.values)} of its values, not {len(now.values)}")
    elif any(after is None and before is not None for after, before in zip(now.values, then.values, strict=True)):
        yield _wrong(f"{name} has NaN or infinite values where it had numbers")
    else:
        yield from _measured(name, now, then)


def _repeats(sample: OutputSample) -> bool:
    """Whether two equal calls gave the same: only then values are kept. What is empty has none to keep."""
    return bool(sample.values) or not math.prod(sample.shape)


def _measured(name: str, now: OutputSample, then: OutputSample) -> Iterator[Finding]:
    # What was no number before is nothing to compare with.
    pairs = [(after, before) for after, before in zip(now.values, then.values, strict=True) if before is not None]
    # One of the two may have been computed in TF32.
    dtype = loosest((now.dtype, then.dtype))
    limit, scale = permitted(dtype), then.scale or now.scale
    far = difference([after for after, _ in pairs], [before for _, before in pairs], scale)
    far = max(far, scale_difference(now.scale, then.scale))
    if far > limit and not limit:
        others = sum(after != before for after, before in pairs)
        what = f"in {others} of the {len(pairs)} values that are kept" if others else "in values that are not kept"
        yield _wrong(f"{name} differs {what} ({dtype}: none may)")
    elif far > limit:
        yield _wrong(f"{name} differs by {_short(far)} of its scale ({dtype}: {_short(limit)} is permitted)")


def _wrong(evidence: str) -> Finding:
    return Finding("wrong", PATH, evidence=evidence)


def _drawn(name: str) -> Finding:
    return _not_compared(f"{name} differs between two equal calls")


def _not_compared(evidence: str) -> Finding:
    return Finding("not compared", PATH, evidence=evidence)


def _short(part: float) -> str:
    """`"0.15"`, `"3.1e-3"`."""
    if not part < 0.01:
        return f"{part:.2g}"
    digits, exponent = f"{part:.1e}".split("e")
    return f"{digits.removesuffix('.0')}e{int(exponent)}"
