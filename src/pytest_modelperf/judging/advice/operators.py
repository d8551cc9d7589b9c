"""Rules that read a profile: what takes time beside the model's own work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...domain.advice import Advice, Seen
from ...domain.device import Device
from ...domain.profile import Operator, Place
from ...domain.units import significant

# What takes less than this share of a call is not worth a change.
WORTH = 0.10
# Products that take this share of a call are worth computing in halves.
MOSTLY = 0.40
# Measured with torch 2.13 on a CPU with avx512_bf16, one thread: products of halves take half as long where each takes
# this long and each weight serves this many samples (4 layers of 1024: 7.4 to 3.5 ms at 64 samples), and longer than
# those of floats where not (1.2 to 1.3 ms at one).
LONG_PRODUCT_S = 50e-6
USES_OF_A_WEIGHT = 16
# Operators and places that a line names.
MOST_NAMED = 2
MOST_PLACES = 2

# Operators that exist for one purpose alone, of torch, onnxruntime and OpenVINO.
_CASTS = ("aten::_to_copy", "Cast", "Convert")
_PADS = ("aten::constant_pad_nd", "Pad")
_LAYOUTS = ("aten::clone", "Transpose", *_PADS)
_SELECTS = ("aten::select", "aten::as_strided")
_READS = ("aten::_local_scalar_dense", "aten::item", "aten::is_nonzero")
_OF_ONEDNN = "aten::mkldnn_convolution"
_PRODUCTS = ("aten::addmm", "aten::mm", _OF_ONEDNN, "aten::linear")
# Beside those of oneDNN with one thread torch 2.13 computes convolutions of 1 x 1 so; of halves they are oneDNN's, too,
# and take half as long (measured as above, five of ResNet-50: 1.1 to 1.4 ms of floats, 0.5 to 0.8 of halves).
_BESIDE_ONEDNN = "aten::_slow_conv2d_forward"
_FLOAT = "float"
_OF_TORCH, _CONVOLUTION = "aten::", "convolution"
# Measured with OpenVINO 2026.4 on the same CPU: halves 1.3 to 5.5 times as fast, at one sample too (dense layers, a
# ResNet, a MobileNet, a BERT).
_OPENVINO_PRODUCTS = ("FullyConnected", "MatMul", "Convolution")
_OPENVINO_FLOAT = "_f32"
# How torch names halves in traces, and in a program.
_HALVES = {"c10::BFloat16": "bfloat16", "c10::Half": "float16"}


def casts(seen: Seen) -> Iterator[Advice]:
    """Values that are turned from one dtype into another."""
    share = seen.share(*_CASTS)
    if share >= WORTH and _on_cpu(seen) and not _keeps_dtypes(seen):
        evidence = f"casts take {share:.0%} of a call: {_named(seen, _CASTS)}{_places(seen, 'cast')}"
        yield seen.at_most(share, evidence, _one_dtype(seen))


def _keeps_dtypes(seen: Seen) -> bool:
    """Whether the lines of code that move values are known, and none turns them into another dtype.

    Torch copies into another layout by the operator that casts.
    """
    places = seen.profile.places if seen.profile is not None else ()
    of_torch = all(one.name.startswith(_OF_TORCH) for one in seen.named(*_CASTS))
    return of_torch and bool(places) and all(one.kind != "cast" for one in places)


def _one_dtype(seen: Seen) -> str:
    """What to do about casts: under torch.autocast they are of weights, and products are faster for them."""
    half = next((_HALVES[one.form] for one in seen.named(*_PRODUCTS) if one.form in _HALVES), "")
    if half and seen.precision not in ("", half):
        return f"model.to(torch.{half}) once, in place of torch.autocast, which casts weights in each call"
    own = f" ({seen.precision})" if seen.precision else ""
    return f"keep one dtype from the input to the output: give inputs, constants and buffers that of the weights{own}"


def layouts(seen: Seen) -> Iterator[Advice]:
    """Values that are moved to lie otherwise in memory: transposed, padded, converted."""
    share = seen.share(*_LAYOUTS)
    if share >= WORTH and _on_cpu(seen) and _asked_for(seen):
        what, do = _moved(seen)
        evidence = f"{what} take {share:.0%} of a call: {_named(seen, _LAYOUTS)}{_places(seen, 'copy')}"
        yield seen.at_most(share, evidence, do)


def _asked_for(seen: Seen) -> bool:
    """Whether lines of code ask for most of what moves values: torch makes copies of its own, of a first input say."""
    of_torch = [one for one in seen.named(*_LAYOUTS) if one.name.startswith(_OF_TORCH)]
    if not of_torch or seen.profile is None:
        return True
    placed = sum(one.calls for one in seen.profile.places if one.kind == "copy")
    return 2 * placed > sum(one.calls for one in of_torch)


def _moved(seen: Seen) -> tuple[str, str]:
    """What moves values, most of all, and what to do about it."""
    if 2 * _calls(seen, *_PADS) > _calls(seen, *_LAYOUTS):
        return "pads", "pad in what comes next, nn.Conv2d(…, padding=1), or take sizes that need no padding"
    copies = "copies into other layouts"
    if 2 * _convolutions(seen) >= _calls(seen, *_LAYOUTS):
        return copies, (
            "model.to(memory_format=torch.channels_last), and no contiguous() behind it; "
            "to try it: --modelperf-convert=channels_last"
        )
    return copies, "keep one order of axes from the input to the output, and copy nothing that is only read"


def _convolutions(seen: Seen) -> float:
    """How often torch convolves: its operators call each other, each as often."""
    return max(
        (one.calls for one in seen.operators if one.name.startswith(_OF_TORCH) and _CONVOLUTION in one.name),
        default=0.0,
    )


def reads(seen: Seen) -> Iterator[Advice]:
    """Values of tensors that Python reads one by one."""
    calls = _calls(seen, _READS[0])
    # Of a value in a matrix first its row is selected, and then it itself.
    share = seen.share(*_READS) + sum(_part(seen, name, 2 * calls) for name in _SELECTS)
    if share >= WORTH and _on_cpu(seen):
        yield Advice(
            f"Python reads {_number(calls)} values out of tensors in each call{_places(seen, 'read')}",
            f"the reading alone takes {seen.part(share)}",
            "keep it in tensors: torch.where for a branch, sum() for a loop, no item(), float(), bool() or int()",
            share,
        )


def half_precision(seen: Seen) -> Iterator[Advice]:
    """Products of floats on a CPU that multiplies halves twice as fast."""
    counts = seen.point.counts
    uses = counts.get("flops", 0.0) / (2 * counts["parameters"]) if counts.get("parameters") else 0.0
    if not _on_cpu(seen) or not seen.host.multiplies_bfloat16 or uses < USES_OF_A_WEIGHT:
        return
    names = (*_PRODUCTS, _BESIDE_ONEDNN) if seen.named(_OF_ONEDNN) else _PRODUCTS
    products = [one for one in seen.named(*names) if one.form == _FLOAT and one.share > 0]
    long = [one for one in products if one.share * seen.seconds >= LONG_PRODUCT_S * one.calls]
    share = sum(one.share for one in long)
    if share >= MOSTLY:
        converter = "bf16-channels_last" if _convolutions(seen) else "bf16"
        yield Advice(
            f"products of float32 take {share:.0%} of a call, on a CPU with {seen.host.cpu_features[0]}",
            f"at most about half of {seen.part(share)}",
            'model.to(torch.bfloat16), and inputs that are floats as Tensor(…, "bfloat16"); to try it, answers '
            f"compared: --modelperf-convert={converter}",
            share / 2,
        )


def half_precision_of_openvino(seen: Seen) -> Iterator[Advice]:
    """The same of OpenVINO, which this project runs in float32 unless it is told otherwise."""
    share = sum(one.share for one in seen.named(*_OPENVINO_PRODUCTS) if one.form.endswith(_OPENVINO_FLOAT))
    if _on_cpu(seen) and seen.host.multiplies_bfloat16 and share >= MOSTLY:
        yield seen.at_most(
            share,
            f"products of float32 take {share:.0%} of a call, on a CPU with {seen.host.cpu_features[0]}",
            'runtime=("openvino", {"INFERENCE_PRECISION_HINT": "bf16"}); compare the answers',
        )


def _on_cpu(seen: Seen) -> bool:
    """On a GPU nothing of this has been tried, and what casts or copies there may bring values from the host."""
    return Device.parse(seen.point.device).kind == "cpu"


def _part(seen: Seen, name: str, calls: float) -> float:
    """The share of so many calls of an operator."""
    every = _calls(seen, name)
    return seen.share(name) * min(1.0, calls / every) if every else 0.0


def _calls(seen: Seen, *names: str) -> float:
    return sum(one.calls for one in seen.named(*names))


def _named(seen: Seen, names: Sequence[str]) -> str:
    """`"12 calls of aten::_to_copy"`."""
    found: Sequence[Operator] = sorted(seen.named(*names), key=lambda one: -one.calls)[:MOST_NAMED]
    return " and ".join(f"{_number(one.calls)} of {one.name}" for one in found if one.calls)


def _places(seen: Seen, kind: str) -> str:
    """`" (net.py:41 `return x.double()`)"`, "" where nobody told."""
    found: Sequence[Place] = seen.profile.places if seen.profile is not None else ()
    told = [one.told for one in found if one.kind == kind]
    return f" ({', '.join(told[:MOST_PLACES])})" if told else ""


def _number(calls: float) -> str:
    return str(int(calls)) if float(calls).is_integer() else significant(calls)
