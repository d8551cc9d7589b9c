"""The meters of a run: which reads the device that a model is open on, opened once and kept until the run ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ...domain.device import Device
from ...domain.telemetry import Gauge, Meter, Place
from ...errors import MetricUnavailable
from ...measuring.orders import Card, Opened
from ...measuring.ranks import PROCESSES
from ...profiling.meters.nvml import NvmlMeter
from ...profiling.meters.registry import may_read
from ...profiling.meters.registry import opened as opened_by
from ...profiling.meters.together import Together
from ..ranks.ranks import Place as Ranks

_ELSEWHERE = "the model's processes are on several hosts, and meters are read on this one alone; run them on one host"


class Meters:
    """Knows the gauge of each device, once it was asked for."""

    def __init__(self, given: Callable[[], Sequence[Meter]] = lambda: (), ranks: Ranks | None = None) -> None:
        """`given` gives the meters of the run, in the order in which they are asked; `ranks` who measures with us."""
        self._given, self._ranks = given, ranks
        # Of those that are read together.
        self._sets: dict[tuple[Place, ...], tuple[str, Gauge] | str] = {}
        self._found: dict[Place, tuple[str, Gauge] | str] = {}
        # Of GPUs, whoever else meters them.
        self._gpus: dict[Place, Gauge | None] = {}

    def of(self, opened: Opened) -> tuple[str, Gauge] | str:
        """The meter's name and its gauge for the device that a model is open on, or why there is none.

        Of a model that ranks call together it is one gauge for the devices of all.
        """
        if self._ranks is not None and not self._ranks.one_host and PROCESSES in opened.settings:
            return _ELSEWHERE
        places = _places(opened)
        if len(places) == 1:
            return self._on(places[0])
        return self._sets.setdefault(places, self._together(places))

    def reads(self, device: str) -> bool:
        """Whether a meter may read this device, as far as is known without waking the hardware."""
        return may_read(Place(Device.parse(device)), self._given())

    def _together(self, places: Iterable[Place]) -> tuple[str, Gauge] | str:
        found = [(place.device, self._on(place)) for place in places]
        reasons = [f"{device}: {why}" for device, why in found if isinstance(why, str)]
        gauges = [one for _, one in found if not isinstance(one, str)]
        if reasons or len(gauges) == 1:
            return "; ".join(reasons) or gauges[0]
        return gauges[0][0], Together([gauge for _, gauge in gauges])

    def _on(self, place: Place) -> tuple[str, Gauge] | str:
        if place not in self._found:
            try:
                self._found[place] = opened_by(place, self._given())
            except MetricUnavailable as error:
                self._found[place] = str(error)
        return self._found[place]

    def throttling(self, models: Iterable[Opened]) -> Callable[[], frozenset[str]]:
        """What tells why GPUs that these models run on are slower than they can be just now; none where nobody can."""
        places = dict.fromkeys(place for opened in models for place in _places(opened))
        gauges = [gauge for gauge in map(self._gpu, places) if gauge is not None]
        return lambda: frozenset(reason for gauge in gauges for reason in gauge.held_back() or ())

    def _gpu(self, place: Place) -> Gauge | None:
        meter = NvmlMeter()
        if place not in self._gpus:
            try:
                self._gpus[place] = meter.open(place) if meter.applies(place.device) else None
            except MetricUnavailable:
                # No library, no driver, or one that does not show this GPU.
                self._gpus[place] = None
        return self._gpus[place]

    def close(self) -> None:
        """The run is over."""
        while self._gpus:
            _, gauge = self._gpus.popitem()
            if gauge is not None:
                gauge.close()
        while self._found:
            _, found = self._found.popitem()
            if not isinstance(found, str):
                found[1].close()


def _places(opened: Opened) -> tuple[Place, ...]:
    """The hardware that a model is open on, as the process tells that has opened it."""
    cards = opened.cards or (Card(Device.parse(opened.device).physical),)
    return tuple(Place(Device.parse(card.device), card.uuid, card.bus_id) for card in cards)
