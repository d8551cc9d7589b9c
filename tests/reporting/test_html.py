from __future__ import annotations

from dataclasses import replace

from reporting import samples

from pytest_modelperf.reporting.html import section, totals


def test_a_section_has_the_columns_of_the_terminal_and_the_lines_under_them() -> None:
    result = samples.batch_sweep()
    text = section(result)
    assert text.startswith(f'<div class="modelperf"><p><b>{totals([result])}</b>')
    assert text.count("<tr>") == 1 + len(result.sweep)
    for column in ("<th>batch</th>", "<th>p50 ms</th>", "<th>change %</th>", "<th>verdict</th>"):
        assert column in text
    assert "<td>slower</td>" in text
    assert "<li>best batch=" in text


def test_a_test_that_was_not_measured_has_its_reason() -> None:
    text = section(samples.unmeasured())
    assert "<table" not in text
    assert "<li>not measured: " in text


def test_what_a_model_or_an_error_says_is_no_markup() -> None:
    text = section(replace(samples.unmeasured(), unmeasured="no <script> & no tag"))
    assert "no &lt;script&gt; &amp; no tag" in text
