"""How far answers are off that are computed in TF32, emulated on a CPU: what products and convolutions are given is
rounded to 10 bits of mantissa, or cut off there, and summed in float32.

    python benchmarks/tf32.py

The first line tells which of the two a GPU does: PyTorch's notes on CUDA have 2.2e-3 for this product on an A100.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import transformers
from torch.utils._python_dispatch import TorchDispatchMode

Change = Callable[[torch.Tensor], torch.Tensor]
_DROPPED = 13
# Weights and inputs are drawn so often.
SEEDS = 2
_ATEN = torch.ops.aten
# Which arguments of these operators are multiplied.
_FACTORS = {
    _ATEN.mm.default: (0, 1),
    _ATEN.bmm.default: (0, 1),
    _ATEN.addmm.default: (1, 2),
    _ATEN.baddbmm.default: (1, 2),
    _ATEN.convolution.default: (0, 1),
}


def rounded(tensor: torch.Tensor) -> torch.Tensor:
    """To the nearest, to even where two are as near."""
    bits = tensor.contiguous().view(torch.int32)
    half = (1 << (_DROPPED - 1)) - 1 + ((bits >> _DROPPED) & 1)
    return _kept(bits + half)


def cut(tensor: torch.Tensor) -> torch.Tensor:
    return _kept(tensor.contiguous().view(torch.int32))


def _kept(bits: torch.Tensor) -> torch.Tensor:
    return (bits & ~((1 << _DROPPED) - 1)).view(torch.float32)


class Emulated(TorchDispatchMode):
    """Operators get their factors changed meanwhile."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self._change = change

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        places = _FACTORS.get(operator, ())
        given = [self._change(one) if place in places else one for place, one in enumerate(args)]
        return operator(*given, **(kwargs or {}))


def models() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Of random weights, as those that `domain/precision.py` was measured with."""
    sizes: Any = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "intermediate_size": 1536}
    ids, images = torch.randint(0, 30_000, (2, 64)), torch.randn(2, 3, 224, 224)
    for name, kind, config, inputs in (
        ("BERT", "BertModel", transformers.BertConfig(**sizes), {"input_ids": ids}),
        (
            "GPT-2",
            "GPT2LMHeadModel",
            transformers.GPT2Config(n_embd=384, n_layer=12, n_head=6),
            {"input_ids": ids, "use_cache": False},
        ),
        ("ViT", "ViTForImageClassification", transformers.ViTConfig(**sizes), {"pixel_values": images}),
        ("ResNet-50", "ResNetForImageClassification", transformers.ResNetConfig(), {"pixel_values": images}),
    ):
        model = getattr(transformers, kind)._from_config(config, attn_implementation="eager").eval()
        yield name, lambda model=model, inputs=inputs: model(**inputs)  # type: ignore[misc]


def main() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(1000, 10_240), torch.randn(10_240, 1000)
    whole = first.double() @ second.double()
    for change in (rounded, cut):
        off = (change(first).double() @ change(second).double() - whole).abs().max() / whole.abs().mean()
        print(f"a product of 10,240 terms, {change.__name__}: {off:.1e} of its mean value")
    largest: dict[tuple[str, str], tuple[float, float]] = {}
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        for name, call in models():
            for change in (rounded, cut):
                known = largest.get((name, change.__name__), (0.0, 0.0))
                largest[name, change.__name__] = _most([known, *differences(call, change)])
    for (name, how), (apart, spread) in largest.items():
        print(f"{name}, {how}: {apart:.1e} of its scale, {spread:.1e} of its spread")


def _most(found: list[tuple[float, float]]) -> tuple[float, float]:
    return max(apart for apart, _ in found), max(spread for _, spread in found)


def differences(call: Callable[[], Any], change: Change) -> Iterator[tuple[float, float]]:
    """Of each output the largest difference, as a part of its root mean square and of its standard deviation."""
    with torch.no_grad():
        before = call()
        with Emulated(change):
            after = call()
    for output, value in before.items():
        if isinstance(value, torch.Tensor):
            plain = value.double()
            largest = float((after[output].double() - plain).abs().max())
            yield largest / float(plain.square().mean().sqrt()), largest / float(plain.std())


if __name__ == "__main__":
    main()
