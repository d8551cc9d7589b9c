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
        ("NVIDIA A100-PCIE-40GB", "float16", 312),
        ("NVIDIA A100 80GB PCIe", "bfloat16", 312),
        ("NVIDIA L4", "float16", 121),
        ("NVIDIA L40S", "float16", 362.05),
        ("NVIDIA A10", "float32", 31.2),
        ("Tesla T4", "float16", 65),
        ("Tesla V100-SXM2-16GB", "float32", 15.7),
        ("Tesla V100-PCIE-32GB", "float16", 112),
        ("Tesla V100S-PCIE-32GB", "float16", 130),
    ],
)
def test_a_card_has_the_peak_of_its_data_sheet(hardware: str, precision: str, teraflops: float) -> None:
    peak = peak_of(hardware, precision)
    assert peak is not None
    assert peak.flops_per_second == teraflops * 1e12
    assert "datasheet" in peak.source


@pytest.mark.parametrize(
    "hardware",
    [
        "NVIDIA RTX A1000",
        "NVIDIA RTX A1000 6GB Laptop GPU",
        "NVIDIA A10G",
        "NVIDIA A10M",
        "NVIDIA A100X",
        "NVIDIA A100-SXM-64GB",
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "NVIDIA H200 MIG 1g.18gb",
        "NVIDIA H200 NVL",
        "NVIDIA GH200 480GB",
        "GRID A100-10C",
        "NVIDIA H100 NVL",
        "NVIDIA L40",
        "NVIDIA T400 4GB",
        "NVIDIA T4G",
        "Tesla V100-FHHL-16GB",
        "NVIDIA GeForce RTX 4090",
        "",
    ],
)
def test_of_relatives_slices_and_others_nothing_is_known(hardware: str) -> None:
    assert peak_of(hardware, "float16") is None


@pytest.mark.parametrize(
    ("hardware", "precision"),
    [("Tesla T4", "bfloat16"), ("Tesla V100S-PCIE-32GB", "bfloat16"), ("NVIDIA H200", "float64")],
)
def test_of_types_without_units_or_a_figure_nothing_is_known(hardware: str, precision: str) -> None:
    assert peak_of(hardware, precision) is None
