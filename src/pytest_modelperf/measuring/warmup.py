"""Warm-up: calls until the time of a call no longer falls."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from ..domain.results import Warmup

# Calls before anything is timed, at the least: TorchScript's profiling executor compiles in its second call.
FEWEST_CALLS = 3
# A window of warm-up calls lasts about as long as a block, so that its median is as steady as a round's.
WINDOW_SECONDS = 0.04
MOST_CALLS_A_WINDOW = 200
# Warm-up goes on while a window is this much faster than the fastest before it …
GAIN = 0.02
# … and ends after this many windows in a row without such a gain.
WINDOWS_WITHOUT_GAIN = 2


def warm_up(sample: Callable[[int], tuple[int, ...]], first_seconds: float, cap_seconds: float) -> tuple[Warmup, float]:
    """Call until steady; gives what it took and the time of a call in seconds.

    `sample(calls)` makes calls and returns their nanoseconds; `first_seconds` is a first guess at the time of a call.
    Successive windows are compared: steady is when two in a row bring no gain of more than 2% over the best before them
    (a window that is slower is noise, not warm-up). At least three calls are made; a model that is still getting faster
    after `cap_seconds` is called unsettled.
    """
    calls, spent, best, idle = 0, 0.0, float("inf"), 0
    call_seconds = first_seconds
    while idle < WINDOWS_WITHOUT_GAIN or calls < FEWEST_CALLS:
        if spent >= cap_seconds and calls >= FEWEST_CALLS:
            return Warmup(calls, spent, settled=False), call_seconds
        samples = sample(_window_calls(call_seconds))
        calls += len(samples)
        spent += sum(samples) * 1e-9
        call_seconds = max(median(samples), 1) * 1e-9
        idle = idle + 1 if call_seconds > best * (1 - GAIN) else 0
        best = min(best, call_seconds)
    return Warmup(calls, spent, settled=True), call_seconds


def _window_calls(call_seconds: float) -> int:
    return max(1, min(MOST_CALLS_A_WINDOW, round(WINDOW_SECONDS / max(call_seconds, 1e-9))))
