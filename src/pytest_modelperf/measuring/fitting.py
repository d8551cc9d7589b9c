"""The memory of a bench's cases: what each has taken at most, and whether the next one will fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..domain.session import Session
from ..domain.units import format_quantity
from ..errors import MetricUnavailable
from . import inputs as drawing
from . import memory

# A case is not tried when the forecast of its memory exceeds what is there by this factor: the forecast is a line.
FORECAST_SLACK = 1.1
# Nor is it forecast further than this beyond the largest case seen: between tiny ones the line is mostly noise.
FORECAST_REACH = 8
_UNTOLD = "what runs the model does not tell how much memory it has reserved"


@dataclass(frozen=True)
class Need:
    """The memory that a case was seen to need, by the bytes of its inputs: what forecasts are made from."""

    input_bytes: int
    peak_bytes: int


class CaseMemory:
    """What the cases of a session take, on its device or, where that has no memory of its own, in this process.

    `held` tells what this process holds of the device's memory, where the session does not (None: nobody tells). It is
    no high-water mark, but what a runtime has taken for a case it keeps for the next.
    `unavailable` are the figures of the present case that cannot be read here, with the reasons.
    """

    def __init__(self, session: Session, inputs: Any, held: Callable[[], int] | None = None) -> None:
        self._session, self._inputs, self._held = session, inputs, held
        # Whether it is asked, for the session does not tell.
        self._asks_held = False
        self._needs: list[Need] = []
        self.unavailable: dict[str, str] = {}

    def begin(self) -> None:
        """The next case: its high-water marks start anew."""
        self.unavailable = self._reset()

    def taken(self, axes: Mapping[str, int]) -> dict[str, float]:
        """The figures of the present case, which has these axes, once it has run."""
        figures = self._marks()
        if "memory.peak" in figures:
            self._needs.append(Need(drawing.nbytes(self._inputs, axes), int(figures["memory.peak"])))
        return figures

    def refusal(self, axes: Mapping[str, int]) -> str:
        """Why a case is not even tried: its inputs alone, or the line through smaller cases, exceed the memory."""
        # What is taken already, the model most of all, is not among the bytes that are free.
        held = self._marks().get("memory.peak", 0.0)
        needed = drawing.nbytes(self._inputs, axes)
        # Inputs are drawn on the host, whatever device they go to.
        host, device = memory.available_bytes(), self._session.free_bytes()
        free = host if device is None else device
        if needed > min(host, free):
            return f"not tried: its inputs take {_bytes(needed)} of {_bytes(min(host, free))} that are free"
        peak = forecast(self._needs, needed)
        more = 0.0 if peak is None else peak - held
        if more > free * FORECAST_SLACK:
            return f"not tried: from the smaller cases it needs {_bytes(more)} more, where {_bytes(free)} are free"
        return ""

    def _reset(self) -> dict[str, str]:
        self._session.reset_peak()
        try:
            if self._session.peak() is not None:
                return {}
        except MetricUnavailable as error:
            return self._reset_held(str(error))
        unavailable: dict[str, str] = {}
        try:
            memory.reset_peak()
        except MetricUnavailable as error:
            unavailable["memory.peak"] = str(error)
        return unavailable

    def _reset_held(self, untold: str) -> dict[str, str]:
        unavailable = dict.fromkeys(("memory.peak", "memory.reserved"), untold)
        if self._held is not None:
            try:
                self._held()
            except MetricUnavailable as error:
                unavailable["memory.peak"] = f"{untold}, and for the whole process {error}"
            else:
                self._asks_held = True
                del unavailable["memory.peak"]
        return unavailable

    def _marks(self) -> dict[str, float]:
        if "memory.peak" in self.unavailable:
            return {}
        if self._asks_held and self._held is not None:
            return {"memory.peak": float(self._held())}
        peak = self._session.peak()
        if peak is not None:
            if peak.reserved_bytes is None:
                self.unavailable["memory.reserved"] = _UNTOLD
                return {"memory.peak": float(peak.peak_bytes)}
            return {"memory.peak": float(peak.peak_bytes), "memory.reserved": float(peak.reserved_bytes)}
        try:
            return {"memory.peak": float(memory.peak_bytes())}
        except MetricUnavailable as error:
            self.unavailable["memory.peak"] = str(error)
            return {}


def forecast(needs: Sequence[Need], input_bytes: int) -> float | None:
    """The peak in bytes of a case with such inputs: the line through the two largest seen, where it is larger."""
    if len(needs) < 2:
        return None
    smaller, larger = sorted(needs, key=lambda need: need.input_bytes)[-2:]
    if larger.input_bytes == smaller.input_bytes or input_bytes <= larger.input_bytes:
        return None
    if input_bytes > FORECAST_REACH * larger.input_bytes:
        return None
    slope = max(0.0, (larger.peak_bytes - smaller.peak_bytes) / (larger.input_bytes - smaller.input_bytes))
    return larger.peak_bytes + slope * (input_bytes - larger.input_bytes)


def _bytes(number: float) -> str:
    return format_quantity(number if math.isfinite(number) else 0.0, "B")
