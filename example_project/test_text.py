"""A small BERT, over the size of the batch and the length of the text."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertModel

from pytest_modelperf import Tensor

VOCABULARY = 30522

# For every test of this file. Measured with two busy virtual CPUs: a median of 8 to 120 ms, 468 MiB. The limits are far
# from that, because this example runs on any machine. On one of your own, take what it measured and 30% more.
pytestmark = pytest.mark.modelperf(budget={"latency.p90": "5 s", "memory.peak": "2 GiB"})


@pytest.fixture(scope="module")
def bert() -> torch.nn.Module:
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
    )
    return BertModel._from_config(config, attn_implementation="eager").eval()


@pytest.mark.modelperf(
    inputs={
        "input_ids": Tensor(("batch", "seq"), "int64", high=VOCABULARY),
        # Nothing but ones: no token is masked.
        "attention_mask": Tensor(("batch", "seq"), "int64", low=1, high=2),
        "return_dict": False,
    },
    sweep={"batch": [1, 8], "seq": [32, 128]},
)
def test_bert(modelperf, bert) -> None:
    sweep = modelperf(bert)
    short, long = sweep.at(batch=1, seq=32), sweep.at(batch=1, seq=128)
    # Limits stand in the marker; an assert is for how cases relate. Four times the text may take longer, but not out of
    # proportion.
    assert long.latency.p50 < 20 * short.latency.p50
