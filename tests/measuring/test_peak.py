from __future__ import annotations

from pytest_modelperf.measuring.peak import SIZE, measured_peak, workloads


def test_it_is_measured_in_a_process_of_its_own_and_says_how() -> None:
    peak = measured_peak(1, timeout_s=60.0)
    # Slower than a single multiplication a nanosecond is no machine that runs models.
    assert peak.flops_per_second > 1e8
    assert peak.source.startswith(f"measured: a product of {SIZE} x {SIZE} matrices of float32 with numpy")
    assert "1 thread:" in peak.source
    # A byte a nanosecond is the memory of the last century.
    assert peak.bytes_per_second is not None
    assert peak.bytes_per_second > 1e8


def test_the_product_is_of_single_precision() -> None:
    product, _ = workloads("2")
    assert product.call().dtype == "float32"
    assert product.name.endswith("2 threads")
