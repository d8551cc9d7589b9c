"""What rules of advice see of a test's cases."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from ...domain.advice import Seen
from ...domain.profile import Profile
from ...domain.results import Sweep
from ...judging.advice.table import Advised, advise
from ...measuring.orders import Opened
from .bureau import Bureau


def advised(
    sweep: Sweep, opened: Sequence[Opened], runtime: str, profiles: Mapping[str, Profile], bureau: Bureau
) -> Advised:
    """What the rules of this run say of the cases that ran; `profiles` are by `Case.key`."""
    return advise(_seen(sweep, opened, runtime, profiles, bureau), bureau.rules())


def _seen(
    sweep: Sweep, opened: Sequence[Opened], runtime: str, profiles: Mapping[str, Profile], bureau: Bureau
) -> Iterator[Seen]:
    models = {one.device: one for one in opened}
    for point in sweep:
        model = models.get(point.device)
        if point.ok and model is not None:
            # It was measured where something was counted that it is needed for.
            peak = bureau.peaks.of(model)[0] if "flops" in point.counts else None
            profile = profiles.get(point.case.key)
            yield Seen(point, sweep, bureau.host, runtime, model.precision, profile, peak, os.environ)
