"""Small real architectures, with weights drawn anew."""

from __future__ import annotations

from typing import Any

import torch

from pytest_modelperf import Tensor

IMAGES = {"x": Tensor(("batch", 3, 16, 16))}
TOKENS = {
    "input_ids": Tensor(("batch", 6), "int64", high=50),
    "attention_mask": Tensor(("batch", 6), "int64", low=1, high=2),
}
FEATURES = [Tensor(("batch", 64))]


class Convolutions(torch.nn.Module):
    """Two convolutions with batch norm, and a classifier; one answer without a name."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(
            torch.nn.Conv2d(3, 16, 3, padding=1),
            torch.nn.BatchNorm2d(16),
            torch.nn.ReLU(),
            torch.nn.Conv2d(16, 16, 3, stride=2, padding=1),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
        )
        self.head = torch.nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.head(self.body(x))
        return answer


class Named(torch.nn.Module):
    """A network whose answers have names, nest, and are of two dtypes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.GELU(), torch.nn.Linear(128, 8))

    def forward(self, features: torch.Tensor, doubled: bool = False) -> dict[str, Any]:
        logits = self.layers(features)
        logits = 2 * logits if doubled else logits
        return {"logits": logits, "best": logits.argmax(-1), "past": (logits.exp(), [logits.sum(-1)])}


def convolutions() -> Any:
    torch.manual_seed(0)
    return Convolutions().eval()


def mlp() -> Any:
    """Large enough for its weights to stand beside an ONNX model."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 8)).eval()


def named() -> Any:
    torch.manual_seed(0)
    return Named().eval()


def bert(attention: str = "eager") -> Any:
    """A BERT of two layers."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=32,
    )
    return BertModel._from_config(config, attn_implementation=attention).eval()  # type: ignore[no-untyped-call]


def gpt2() -> Any:
    """A decoder of two layers, which gives the keys and values of each beside its logits."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=2, n_positions=16)).eval()  # type: ignore[no-untyped-call]
