"""The `json` report: everything a run found, for programs.

One object, in SI units (seconds, bytes, joules, per second), whose keys are the attributes of `domain.report.Report`
and of the nouns below it:

```
{
  "format": 1,                                  FORMAT below
  "created": "2026-07-01T12:00:00+00:00", "commit": "1f3a…", "interrupted": false,
  "machine": "amd-epyc-7b13-x2",                the name of the baseline folder
  "host": {"cpu": …, "cpus": 2, "memory_bytes": …, "accelerators": […], "system": …, "python": …,
           "cpu_features": ["avx2", …], "silicon": "family 25 model 1"},
  "written": {"PATH": "what it is"}, "notes": ["…"],
  "skipped": {"tests/test_gpu.py::test_it": "why"}, "waited": {"cpu": 84.2},     for other processes that measured
  "results": [{
    "nodeid": "tests/test_vision.py::test_resnet50", "model": …, "passed": true, "seconds": 24.1, "tolerance": 0.05,
    "best": "cpu batch=8", "knee": "cpu batch=4", "baseline": …, "accepted": "", "failure": "", "unmeasured": "",
    "sweep": {
      "points": [{
        "axes": {"batch": 8}, "device": "cpu", "status": "ok" | "out of memory" | "failed", "reason": "",
        "samples_per_call": 8,
        "figures": {"latency.p50": [0.1733, 0.1721, 0.1745, "s"], …},      estimate, low, high, unit
        "unavailable": {"energy.per_sample": "why"}, "counts": {"parameters": 25557032}, "notes": ["…"],
        "operators": {"aten::addmm": 12, …},                             calls of each, in one call of the model
        "counted_by": {"flops": "what has counted it", …},
        "weights": "9f86d081884c7d65", "inputs": "60303ae22b998861",      hashes of the model and the question
        "outputs": {"logits": {"dtype": "float32", "shape": [8, 1000], "scale": 0.98, "values": [0.25, …, null]}},
        "timing": {"rounds_ns": [[…], …], "pipelined": [[calls, elapsed_ns], …], "unit": "ns",
                   "turns": [0, 1, …], "yardsticks": {"NAME": [[…], …]}, "settling_calls": 2,
                   "disturbed": [3, 4, …], "disturbed_yardsticks": {"NAME": [4, …]},     indexes of rounds
                   "warmup": {"calls": 9, "seconds": 0.4, "settled": true}, "tick_ns": 1.0,     step of the clock
                   "dropped": 0} | null,                                      calls whose samples are not here
        "telemetry": {"meter": "nvml: NVIDIA H200 GPU-8c54…", "calls": 5120, "seconds": 2.01,      of the soak
                      "held_back": {"power cap": 1.2}, "missing": {"temperature": "why"},           seconds by reason
                      "series": {"power": {"unit": "W", "seconds": [0.0, 0.02, …], "values": [212.1, …]}, …}} | null
      }],
      "budget": [{"path": "latency.p50", "limit": 0.06}], "skipped": {"cuda:0": "why"}, "notes": ["…"],
      "state": {"rounds": 12, "others": {"share": 0.61, "rounds": 4}, "steal": {"share": 0.0, "rounds": 0} | null,
                "clock_hz": [1.9e9, 3.1e9] | null, "governor": "performance", "heat": 0, "quota_seconds": 0.0,
                "preemptions": 12.5 | null, "gpu": {"power cap": 3}} | null
    },
    "verdicts": {"cpu batch=8": {"word": "slower", "case": …, "change": [1.124, 1.098, 1.151, ""], "tolerance": 0.05,
                 "level": 0.0125, "detectable": 0.031 | null, "runs": 8, "scale": …, "gain": 2.1,
                 "against": "", "attempts": [1.13, 1.12], "again": "suspected", "drifted": false, "conditions": […],
                 "changed": {"flops": [2e9, 3e9], …}, "counters": ["names of those that are judged"], "reason": "",
                 "beside": [{"word": "hungrier", "path": "memory.peak", "before": 536870912, "now": 746586112,
                             "change": [1.39, 1.31, 1.47, ""] | null, "tolerance": 0.05 | null, "evidence": …}],
                 "blame": {"seconds": 0.0024, "rest": "",                  of a slower one: what explains it
                           "causes": [{"what": "`aten::_to_copy` 0 → 12 calls", "seconds": 0.0021 | null,
                                       "where": "net.py:41 `x = x.double()`"}]} | null}},
    "breaches": [{"case": …, "budget": {…}, "figure": [estimate, low, high, unit] | null, "reason": ""}],
    "run": {"conditions": {…}, "devices": {"cuda:0": {…}, …},              what a baseline update would accept
            "cases": {"cpu batch=8": {
              "hardware": "amd-epyc-7b13-x2", "rounds": 900, "times": {"location": -1.75, "spread": 0.02},
              "scaled": {"threads/4 1 (numpy 2.4.6)": {…}, …}, "figures": {…}, "counts": {…}, "weights": …,
              "inputs": …, "outputs": {…}, "tick_ns": 1.0, "profile": {"source": …, "settings": {…},
                "operators": {"aten::addmm": {"calls": 12, "share": 0.634, "form": "float"}, …}} | null}}} | null,
    "profiles": {"cpu batch=8": {
      "source": "torch 2.13.0", "calls": 20, "seconds": 0.1741,             calls that were looked at; of each of them
      "operators": [{"name": "aten::addmm", "calls": 12, "seconds": 0.1104, "share": 0.634,
                     "form": "float", "shapes": "[768], [8, 768], [768, 768]",
                     "allocated_bytes": 294912 | null}, …],                               the longest first
      "kernels": [{"name": …, "calls": 12, "seconds": 0.0104, "bytes": null}, …], "copies": […], "api_calls": […],
      "settings": {"threads": "2"}, "trace": "PATH",                        its timeline, a Chrome trace
      "places": [{"kind": "read", "calls": 3, "file": "net.py", "line": 41, "code": "return x * float(x[0])",
                  "operator": ""}, …]
    }}, "profiles_then": {…},                                               of the commit that was compared with
    "advice": [{"rule": "casts", "case": "cpu batch=8", "evidence": …, "expected": "at most 2.1 ms of 6.3 ms",
                "do": …, "gain": 0.33}, …], "advised": false,                whether the user asked for profiles
    "convertible": true, "suggestions": {                                    null where no converter was asked for
      "goal": "latency", "seconds": 84.1, "closest": "", "untried": [names], "notes": […],
      "suggestions": [{"speedup": [2.11, 2.08, 2.14, ""], "speedups": {"cpu batch=8": [estimate, low, high, ""]},
                       "pareto": true, "slower": [cases], "command": …, "once": false,
                       "points": [as those of the sweep],
                       "variant": {"name": …, "what": …, "device": …, "steps": […], "precision": "bfloat16",
                                   "description": …, "build_seconds": 3.1, "load_seconds": 0.2,
                                   "fixed": {"batch": 1} | null, "counts": {…}, "notes": […],
                                   "options": {of its runtime}, "settings": ["1 thread"],
                                   "quality": {"original": …, "variant": …, "drop": …} | null,
                                   "parity": [{"output": "logits", "dtype": "float32", "largest": 0.01, "mean": 0.001,
                                               "relative": 0.013 | null, "cosine": 0.999 | null, "top1": 1.0 | null,
                                               "error": 0.013, "limit": 0.15}]}}],
      "rejected": [{"name": …, "device": …, "reason": …, "folder": …, "speedup": [1.02, 1.01, 1.03, ""] | null,
                    "tried": true}]} | null                                  false: known beforehand not to apply
  }]
}
```

`low` and `high` are the ends of the 95% interval; null is an infinite end. Of a verdict, `detectable` is null without a
`change` where nothing was compared, and beside one where not even ten times what is accepted would have been seen.
Unknown keys are passed over when a report is read, so that a later version may add some without a new format.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..domain.report import Report
from ..errors import ModelPerfError
from .files import write_whole

# 1: the first.
FORMAT = 1

# An array of plain values as an indented file spreads it, one line an element. No JSON string holds a line break, so
# whatever follows one is layout.
_SPREAD = re.compile(r"\[\n *([^\[\]{}]*)\n *\]")
_LAYOUT = re.compile(r"\n *")


class JsonReporter:
    """Writes `--modelperf-report=json:PATH`."""

    name = "json"

    def write(self, report: Report, path: Path) -> None:
        """Everything in `report`, raw samples and environment included. Raises ModelPerfError, which names the path."""
        write_whole(path, _text(report))


def read(path: Path) -> Report:
    """The report in a file that JsonReporter wrote.

    Raises ModelPerfError, which names the file, for one that cannot be read, is no report, or has a newer format.
    """
    import msgspec

    from ..domain.codec import from_json

    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelPerfError(f"the report {path} cannot be read: {error.strerror or error}; name its file") from error
    try:
        _check_format(path, data)
        return from_json(data, Report)
    # UnicodeDecodeError, for bytes that are no text, is a ValueError.
    except (msgspec.MsgspecError, ValueError) as error:
        raise ModelPerfError(
            f"{path} is no report of pytest-modelperf: {error}; write it again with --modelperf-report=json:{path}"
        ) from error


def _text(report: Report) -> str:
    import msgspec

    from ..domain.codec import plain, to_json

    fields: dict[str, Any] = msgspec.to_builtins(report, enc_hook=plain)
    text = to_json({"format": FORMAT, **fields}, indent=2)
    # Samples fill lines, not a line each: a case has thousands of them.
    return _SPREAD.sub(lambda array: f"[{_LAYOUT.sub(' ', array[1])}]", text) + "\n"


def _check_format(path: Path, data: bytes) -> None:
    import msgspec

    found = msgspec.json.decode(data, type=dict[str, Any]).get("format")
    if not isinstance(found, int) or found < 1:
        raise ValueError("it has no format number")
    if found > FORMAT:
        raise ModelPerfError(
            f"{path} has format {found}, newer than {FORMAT}, which this version reads; upgrade pytest-modelperf"
        )
