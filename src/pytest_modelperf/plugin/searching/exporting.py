"""What becomes of a variant that was written and is suggested: its folder, with the figures that were measured."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ...converting.triton import renamed
from ...domain.codec import to_json
from ...domain.variant import MADE_BY, Suggestion

FACTS = "modelperf.json"
_BATCH = "batch"


def publish(written: Path, folder: Path, suggestion: Suggestion, served: str) -> None:
    """Add the figures, and put it into the folder, as a whole, in place of what was there. Raises OSError.

    `served` is its name in a server, which holds models of other tests, too.
    """
    facts: dict[str, Any] = json.loads((written / MADE_BY).read_text("utf-8"))
    facts["suggestion"] = json.loads(to_json(suggestion))
    # Which are the best of all is known when all have been tried, and is no fact of this one.
    del facts["suggestion"]["pareto"]
    (written / MADE_BY).unlink()
    (written / FACTS).write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
    _batch(written, suggestion)
    _name(written, served)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as aside:
        # It may be copied from another file system: beside its place first.
        fresh, former = Path(aside) / "fresh", Path(aside) / "former"
        shutil.move(written, fresh)
        if folder.exists():
            folder.rename(former)
        try:
            fresh.rename(folder)
        except OSError:
            if former.exists():
                former.rename(folder)
            raise


def withdraw(folder: Path) -> None:
    """Remove what an earlier run has written of a variant that is suggested no more."""
    if (folder / FACTS).is_file():
        shutil.rmtree(folder, ignore_errors=True)


def _batch(written: Path, suggestion: Suggestion) -> None:
    """Have Triton gather requests into batches of the size with the highest throughput, where it batches at all."""
    batches = {
        float(point.throughput): point.axes[_BATCH] for point in suggestion.points if point.ok and _BATCH in point.axes
    }
    for config in written.glob("triton/*/config.pbtxt"):
        text = config.read_text("utf-8")
        if batches and "max_batch_size: 0" not in text:
            best = batches[max(batches)]
            config.write_text(f"{text}dynamic_batching {{ preferred_batch_size: [ {best} ] }}\n", "utf-8")


def _name(written: Path, served: str) -> None:
    """Call its model of Triton otherwise than all others: what the configuration says, its folder is called."""
    for config in list(written.glob("triton/*/config.pbtxt")):
        before = config.parent
        config.write_text(renamed(config.read_text("utf-8"), before.name, served), "utf-8")
        before.rename(before.with_name(served))
