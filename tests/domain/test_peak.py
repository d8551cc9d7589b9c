from __future__ import annotations

import pytest

from pytest_modelperf.domain.peak import peak_of


@pytest.mark.parametrize(
    ("hardware", "precision", "teraflops"),
    [
        ("NVIDIA H200", "bfloat16", 989.5),
        ("NVIDIA H100 80GB HBM3", "float16", 989.5),
        ("NVIDIA H100 PCIe", "float16", 756.5),
        ("NVIDIA A100-SXM4-80GB", "", 19.5),
        ("NVIDIA L4", "float16", 121),
        ("NVIDIA L40S", "float16", 362.05),
        ("NVIDIA A10", "float32", 31.2),
        ("Tesla T4", "float16", 65),
        ("Tesla V100-SXM2-16GB", "float32", 15.7),
    ],
)
def test_a_card_has_the_peak_of_its_data_sheet(hardware: str, precision: str, teraflops: float) -> None:
    peak = peak_of(hardware, precision)
    assert peak is not None
    assert peak.flops_per_second == teraflops * 1e12
    assert "datasheet" in peak.source


@pytest.mark.parametrize(
    ("hardware", "precision"),
    # A relative of a card that is known, one that is not, and types that a card has no units or no figure for.
    [("NVIDIA A10G", ""), ("NVIDIA H100 NVL", ""), ("", ""), ("Tesla T4", "bfloat16"), ("NVIDIA H200", "float64")],
)
def test_of_others_nothing_is_known(hardware: str, precision: str) -> None:
    assert peak_of(hardware, precision) is None
