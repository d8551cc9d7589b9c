"""What models of PyTorch return, as arrays with names."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from pytest_modelperf.domain.device import Device
from pytest_modelperf.domain.session import Session
from pytest_modelperf.domain.tensor import Value
from pytest_modelperf.runtimes.torch import TorchRuntime

RUNTIME = TorchRuntime()
CPU = Device("cpu")


@pytest.fixture
def session(net: Any) -> Session:
    return RUNTIME.open(net, CPU)


@dataclasses.dataclass
class Detected:
    boxes: Any
    masks: Any = None


def test_names_of_outputs(session: Session) -> None:
    from transformers.modeling_outputs import CausalLMOutputWithPast

    a, b = torch.ones(2), torch.zeros(1, dtype=torch.bfloat16)
    answers = {
        "a tensor": (a, ["0"]),
        "a tuple": ((a, b), ["0", "1"]),
        "a dict": ({"logits": a, "past": [(a, b), (a, b)]}, ["logits", "past.0.0", "past.0.1", "past.1.0", "past.1.1"]),
        "a ModelOutput": (
            CausalLMOutputWithPast(logits=a, hidden_states=(a, b)),
            ["logits", "hidden_states.0", "hidden_states.1"],
        ),
        "a dataclass": (Detected(a), ["boxes"]),
        "torch's own": (torch.ones(2, 2).max(0), ["0", "1"]),
        "nothing": (None, []),
        "a number": (1.5, ["0"]),
    }
    for what, (outputs, names) in answers.items():
        arrays = session.arrays(outputs)
        assert list(arrays) == names, what
        assert list(session.dtypes(outputs)) == names, what
        assert all(isinstance(array, np.ndarray) for array in arrays.values()), what


@pytest.mark.filterwarnings("ignore:.*quantize:UserWarning")
def test_tensors_that_numpy_does_not_know(session: Session) -> None:
    dense = torch.eye(2)
    outputs = {
        "sparse": dense.to_sparse(),
        "quantized": torch.quantize_per_tensor(dense, 0.5, 0, torch.qint8),
        "conjugate": torch.tensor([1 + 2j]).conj(),
        "float8": dense.to(torch.float8_e4m3fn),
        "with a gradient": torch.nn.Parameter(dense.clone()),
    }
    found = session.arrays(outputs)
    dtypes = ["float32", "qint8", "complex64", "float8_e4m3fn", "float32"]
    assert session.dtypes(outputs) == dict(zip(outputs, dtypes, strict=True))
    assert found.pop("conjugate").tolist() == [1 - 2j]
    assert all(array.tolist() == [[1, 0], [0, 1]] and array.dtype == np.float32 for array in found.values())


def test_a_real_model_of_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, vocab_size=50
    )
    bert = transformers.BertModel._from_config(config, attn_implementation="eager")
    opened = RUNTIME.open(bert, CPU)
    ids = Value(np.random.default_rng(0).integers(0, 50, (2, 7)), "int64")
    with opened.running():
        found = opened.arrays(opened.bind({"input_ids": ids, "output_hidden_states": True})())
    assert list(found) == ["last_hidden_state", "pooler_output", *(f"hidden_states.{layer}" for layer in range(3))]
    with torch.inference_mode():
        whole = bert(input_ids=torch.tensor(ids.array)).last_hidden_state.numpy()
    np.testing.assert_allclose(found["last_hidden_state"], whole, rtol=1e-5, atol=1e-6)
    assert opened.facts.description == "BertModel (torch)"
    opened.close()
    assert bert.training
