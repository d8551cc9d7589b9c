"""Architectures that are well known, as they are: no rule that reads a profile finds a fault in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from judging.advice.looking import fired, profile, seen

from pytest_modelperf.runtimes.torch import TorchRuntime

torch = pytest.importorskip("torch")

_SMALL = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 256}
_WORDS = {**_SMALL, "vocab_size": 1000}
_RESNET = {"embedding_size": 32, "hidden_sizes": [32, 64, 96, 128], "depths": [1, 1, 1, 1], "layer_type": "basic"}
_SWIN = {"image_size": 64, "embed_dim": 32, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}
_GPT = {"n_embd": 128, "n_layer": 2, "n_head": 4, "vocab_size": 1000, "bos_token_id": 1, "eos_token_id": 2}
_T5 = {"d_model": 128, "d_kv": 32, "d_ff": 256, "num_layers": 2, "num_heads": 4, "vocab_size": 1000}
# By the name of the model's class in transformers: what its config is given, and the side of its images (0: words).
_FAST: dict[str, tuple[dict[str, Any], int]] = {
    "ViTModel": ({**_SMALL, "image_size": 64, "patch_size": 8}, 64),
    "ResNetModel": (_RESNET, 64),
    "GPT2Model": (_GPT, 0),
}
_SLOW: dict[str, tuple[dict[str, Any], int]] = {
    "BertModel": (_WORDS, 0),
    "SwinModel": (_SWIN, 64),
    # As torchvision has it: TensorFlow's padding is an operator of its own, of 5% of the time.
    "MobileNetV2Model": ({"image_size": 64, "tf_padding": False}, 64),
    "ConvNextModel": ({"hidden_sizes": [32, 64, 96, 128], "depths": [1, 1, 2, 1]}, 64),
    "LlamaModel": (_WORDS, 0),
    "T5EncoderModel": (_T5, 0),
}


class Last(torch.nn.Module):  # type: ignore[misc, name-defined]
    """The last hidden state of a model of transformers; with `half` under autocast."""

    def __init__(self, name: str, config: dict[str, Any], half: bool = False) -> None:
        super().__init__()
        kind = getattr(pytest.importorskip("transformers"), name)
        self.model, self.half = kind(kind.config_class(**config)), half

    def forward(self, x: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            return self.model(x).last_hidden_state


def drawn(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def given(side: int) -> Any:
    return drawn(2, 3, side, side) if side else np.ones((2, 64), np.int64)


def advised(model: Any, x: Any) -> dict[str, str]:
    found = fired(seen(profile(TorchRuntime(), model.eval(), x), precision="float32"))
    return {rule: one.do for rule, one in found.items()}


@pytest.mark.parametrize(
    "name", [*_FAST, *(pytest.param(name, marks=(pytest.mark.slow, pytest.mark.flaky(reruns=2))) for name in _SLOW)]
)
def test_a_model_of_transformers_has_no_fault(name: str) -> None:
    config, side = {**_FAST, **_SLOW}[name]
    assert advised(Last(name, config), given(side)) == {}


def test_grouped_convolutions_have_none() -> None:
    layers = [torch.nn.Conv2d(32, 32, 3, padding=1, groups=8) for _ in range(4)]
    assert advised(torch.nn.Sequential(*layers), drawn(2, 32, 32, 32)) == {}


def test_what_is_channels_last_is_not_asked_to_be() -> None:
    layers = [torch.nn.Conv2d(32, 32, 3, padding=1) for _ in range(8)]
    model = torch.nn.Sequential(*layers).to(memory_format=torch.channels_last)
    assert advised(model, drawn(2, 32, 64, 64)) == {}


@pytest.mark.slow
@pytest.mark.flaky(reruns=2)
@pytest.mark.parametrize("name", ["BertModel", "ViTModel"])
def test_under_autocast_nobody_is_sent_back_to_floats(name: str) -> None:
    config, side = {**_FAST, **_SLOW}[name]
    for do in advised(Last(name, config, half=True), given(side)).values():
        assert do.startswith("model.to(torch.bfloat16)")
