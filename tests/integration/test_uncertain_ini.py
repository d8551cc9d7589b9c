"""The ini setting `modelperf_uncertain`: what an uncertain verdict is."""

from __future__ import annotations

import re

from integration.folders import BRIEF, Folder, said, summary


def test_it_warns_where_nobody_says(accepted: Folder) -> None:
    result = accepted.run(BRIEF)
    result.assert_outcomes(passed=1)
    told = summary(result)
    assert re.search(
        r" uncertain: known to ±13% where ±\S+% would tell: runs of this case are taken to spread by ", told
    )
    assert "accepts +5%" in told, "where nobody says how much"
    assert "totals: 1 uncertain" in told


def test_it_fails_where_the_ini_file_says_so(accepted: Folder) -> None:
    accepted.ini("modelperf_uncertain = fail")
    result = accepted.run(BRIEF)
    result.assert_outcomes(failed=1)
    text = said(result, "test_speed")
    assert text.startswith("uncertain whether slower: batch=1 ")
    assert "It fails because of modelperf_uncertain = fail. Measure for longer (--modelperf-seconds)" in text
