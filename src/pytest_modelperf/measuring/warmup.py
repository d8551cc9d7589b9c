"""Warm-up: calls until the time of a call no longer falls."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from ..domain.results import Warmup

# Calls before anything is timed, at the least: TorchScript's profiling executor compiles in its second call.
FEWEST_CALLS = 3
# A slow model is not called unsettled by the clock before it has had this many calls to settle in.
CALLS_BEFORE_THE_CAP = 6
# A window of warm-up calls lasts about as long as a block, so that its median is as steady as a round's.
WINDOW_SECONDS = 0.04
MOST_CALLS_A_WINDOW = 200
# Warm-up goes on while a window is this much faster than the fastest before it; a window of one call is less steady …
GAIN = 0.02
GAIN_OF_ONE_CALL = 0.05
# … and ends after this many windows in a row without such a gain.
WINDOWS_WITHOUT_GAIN = 2


def warm_up(sample: Callable[[int], tuple[int, ...]], first_seconds: float, cap_seconds: float) -> tuple[Warmup, float]:
    """Call until steady; gives what it took and the time of a call in seconds (of the fastest window: noise only adds).

    `sample(calls)` makes calls and returns their nanoseconds; `first_seconds` is a first guess at the time of a call.
    Successive windows are compared: steady is when two in a row bring no gain of more than 2% over the best before them
    (a window that is slower is noise, not warm-up). At least three calls are made; a model that is still getting faster
    after `cap_seconds` is called unsettled.
    """
    calls, spent, idle = 0, 0.0, 0
    best = float("inf")
    while idle < WINDOWS_WITHOUT_GAIN or calls < FEWEST_CALLS:
        if spent >= cap_seconds and calls >= CALLS_BEFORE_THE_CAP:
            return Warmup(calls, spent, settled=False), best
        samples = sample(_window_calls(min(first_seconds, best)))
        calls += len(samples)
        spent += sum(samples) * 1e-9
        window = max(median(samples), 1) * 1e-9
        gain = GAIN if len(samples) > 1 else GAIN_OF_ONE_CALL
        idle = idle + 1 if window > best * (1 - gain) else 0
        best = min(best, window)
    return Warmup(calls, spent, settled=True), best


def _window_calls(call_seconds: float) -> int:
    return max(1, min(MOST_CALLS_A_WINDOW, round(WINDOW_SECONDS / max(call_seconds, 1e-9))))
