"""The peak of a device: how many floating-point operations a second it could do, and who says so."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TERA = 1e12


@dataclass(frozen=True)
class Peak:
    """`flops_per_second`, and its `source`: a data sheet, or what was measured.

    `bytes_per_second` is how fast it reads weights from its memory, None where that is not known.
    """

    flops_per_second: float
    source: str
    bytes_per_second: float | None = None


@dataclass(frozen=True)
class _Card:
    """A row: what the driver's name of a card is, TFLOP/s by the dtype of the weights, and the data sheet.

    Products of halves are those of tensor cores without sparsity; float32 is without tensor cores, so that with TF32 a
    model may do more.
    """

    name: str
    float32: float
    half: float
    sheet: str


# The whole name is told, behind the maker's: relatives of a card (A10G, V100-FHHL, A100-SXM-64GB), slices of one (MIG)
# and parts of a virtual one have other figures. These are of the boards' data sheets, halved where they are with
# sparsity. H100, A100, A10, T4 and V100 were compared with the table of Lightning Fabric, which cites the sheets; H200,
# L40S and L4 with public lists of specifications. A card without such a check (H200 NVL, GH200) has no row.
_CARDS = (
    _Card(r"H200", 67, 989.5, "NVIDIA H200 Tensor Core GPU datasheet, SXM"),
    _Card(r"H100 PCIe", 51, 756.5, "NVIDIA H100 Tensor Core GPU datasheet, PCIe"),
    _Card(r"H100 80GB HBM3", 67, 989.5, "NVIDIA H100 Tensor Core GPU datasheet, SXM"),
    _Card(r"A100(-SXM4-[48]0GB|-PCIE-[48]0GB| 80GB PCIe)", 19.5, 312, "NVIDIA A100 Tensor Core GPU datasheet"),
    _Card(r"L40S", 91.6, 362.05, "NVIDIA L40S datasheet"),
    _Card(r"L4", 30.3, 121, "NVIDIA L4 Tensor Core GPU datasheet"),
    _Card(r"A10", 31.2, 125, "NVIDIA A10 Tensor Core GPU datasheet"),
    _Card(r"T4", 8.1, 65, "NVIDIA T4 Tensor Core GPU datasheet"),
    _Card(r"V100-SXM[23]-(16|32)GB", 15.7, 125, "NVIDIA V100 Tensor Core GPU datasheet, SXM2"),
    _Card(r"V100-PCIE-(16|32)GB", 14, 112, "NVIDIA V100 Tensor Core GPU datasheet, PCIe"),
    _Card(r"V100S-PCIE-32GB", 16.4, 130, "NVIDIA V100 Tensor Core GPU datasheet, V100S"),
)
_MAKER = r"(NVIDIA |Tesla )*"
_FIELDS = {"float32": "float32", "float16": "half", "bfloat16": "half"}
# Before Ampere tensor cores know no bfloat16.
_WITHOUT_BFLOAT16 = ("T4", "V100")


def peak_of(hardware: str, precision: str) -> Peak | None:
    """The peak of the accelerator of this name for weights of this dtype; None where the table does not have it."""
    card = next((card for card in _CARDS if re.fullmatch(_MAKER + card.name, hardware)), None)
    field = _FIELDS.get(precision or "float32")
    if card is None or field is None or (precision == "bfloat16" and card.name.startswith(_WITHOUT_BFLOAT16)):
        return None
    teraflops: float = getattr(card, field)
    return Peak(teraflops * _TERA, f"{precision or 'float32'} {teraflops:g} TFLOP/s: {card.sheet}")
