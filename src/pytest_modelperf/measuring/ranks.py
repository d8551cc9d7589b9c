"""Ranks: processes that call one model together, each with its part of it or of the data, taken for one bench.

They must make the same calls in the same order: one that calls more often than the others waits for them for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from ..domain.counting import Counted
from ..domain.results import Status
from .orders import Block, Opened, Prepare, Prepared, Samples, Soaked, Tallied
from .warmup import warm_up

# The setting under which the number of processes is a condition of a run.
PROCESSES = "processes"
_DIGITS = 16


class _CallFailed(Exception):
    def __init__(self, samples: Samples) -> None:
        super().__init__(samples.error)
        self.status: Status = "out of memory" if samples.out_of_memory else "failed"


def prepare_in_step(
    prepare: Callable[[Prepare], Prepared], block: Callable[[Block], Samples], order: Prepare
) -> Prepared:
    """Make a case ready on all ranks, who then have made the same calls: how many warm it up is settled here.

    `prepare` and `block` ask all of them and give their answers combined.
    """

    def sample(calls: int) -> tuple[int, ...]:
        samples = block(Block(order.case, calls, 0))
        if samples.error:
            raise _CallFailed(samples)
        return samples.samples_ns

    prepared = prepare(msgspec.structs.replace(order, step="admit"))
    if prepared.status == "ok":
        prepared = prepare(msgspec.structs.replace(order, step="call"))
    if prepared.status != "ok":
        return prepared
    try:
        warmup, call_seconds = warm_up(sample, prepared.call_seconds, order.seconds)
    except _CallFailed as failed:
        return Prepared(failed.status, str(failed))
    finished = prepare(msgspec.structs.replace(order, step="finish"))
    if finished.status != "ok":
        return finished
    return msgspec.structs.replace(finished, warmup=warmup, call_seconds=call_seconds)


def opened_by_all(answers: Sequence[Opened]) -> Opened:
    """One model on all ranks: as rank 0 tells of it, ready when the last one is, with the samples of all."""
    first = answers[0]
    return msgspec.structs.replace(
        first,
        description=f"{first.description} on {len(answers)} processes",
        samples_per_call=tuple(len(answers) * samples for samples in first.samples_per_call),
        load_seconds=max(one.load_seconds for one in answers),
        settings={**first.settings, PROCESSES: str(len(answers))},
        weights=_hash_of_all([one.weights for one in answers]),
        cards=tuple(dict.fromkeys(card for one in answers for card in one.cards)),
        weights_untold=_by_rank([one.weights_untold for one in answers]),
    )


def differing_work(answers: Sequence[Opened]) -> str:
    """What a rank is asked otherwise than rank 0, so that they cannot call together; "" for nothing."""
    first = answers[0]
    for rank, other in enumerate(answers):
        for what, mine, theirs in (
            ("cases", first.cases, other.cases),
            ("inputs", first.inputs, other.inputs),
            ("a runtime", first.runtime, other.runtime),
        ):
            if mine != theirs:
                return f"rank {rank} is asked for {what} {theirs!r}, rank 0 for {mine!r}; give all ranks the same"
    return ""


def prepared_by_all(answers: Sequence[Prepared]) -> Prepared:
    """A case on all ranks: readings and counters are the largest of any, outputs are rank 0's."""
    bad = [one for one in answers if one.status != "ok"]
    if bad:
        status: Status = "out of memory" if any(one.status == "out of memory" for one in bad) else "failed"
        return Prepared(status, _by_rank([one.reason if one.status != "ok" else "" for one in answers]))
    notes = dict.fromkeys(note for one in answers for note in one.notes)
    return msgspec.structs.replace(
        answers[0],
        call_seconds=max(one.call_seconds for one in answers),
        figures=_largest(one.figures for one in answers),
        unavailable={path: why for one in answers for path, why in one.unavailable.items()},
        counts=_largest(one.counts for one in answers),
        notes=tuple(_by_rank([note if note in one.notes else "" for one in answers]) for note in notes),
        weights=_hash_of_all([one.weights for one in answers]),
        inputs=_hash_of_all([one.inputs for one in answers]),
    )


def samples_of_all(answers: Sequence[Samples]) -> Samples:
    """A block on all ranks: a call takes as long as on the rank that was the slowest in it."""
    bad = [one for one in answers if one.error]
    if bad:
        return Samples(error=_by_rank([one.error for one in answers]), out_of_memory=any(o.out_of_memory for o in bad))
    calls = zip(*(one.samples_ns for one in answers), strict=True)
    return Samples(tuple(map(max, calls)), max(one.pipelined_ns for one in answers))


def tallied_by_all(answers: Sequence[Tallied]) -> Tallied:
    """What was counted on all ranks: of each counter the largest of any, as every rank makes the call."""
    return Tallied(tuple(map(_counted_by_all, zip(*(one.cases for one in answers), strict=True))))


def soaked_by_all(answers: Sequence[Soaked]) -> Soaked:
    """A portion of a soak on all ranks: a chunk is done when the slowest has done it."""
    if any(one.error for one in answers):
        return Soaked(error=_by_rank([one.error for one in answers]))
    return Soaked(tuple(map(max, zip(*(one.marks_ns for one in answers), strict=True))))


def _counted_by_all(found: Sequence[Counted]) -> Counted:
    operators = _largest(one.operators for one in found)
    return Counted(
        counts=_largest(one.counts for one in found),
        operators={name: int(calls) for name, calls in operators.items()},
        counted_by={name: by for one in found for name, by in one.counted_by.items()},
        unavailable={path: why for one in found for path, why in one.unavailable.items()},
        notes=tuple(dict.fromkeys(note for one in found for note in one.notes)),
    )


def _by_rank(texts: Sequence[str]) -> str:
    """What ranks say, "" for nothing, named by rank unless all say the same."""
    if len(set(texts)) == 1:
        return texts[0]
    said = dict.fromkeys(filter(None, texts))
    ranks = {text: ", ".join(str(rank) for rank, one in enumerate(texts) if one == text) for text in said}
    return "; ".join(f"on rank {ranks[text]}: {text}" for text in said)


def _hash_of_all(hashes: Sequence[str]) -> str:
    """One for all, theirs where they agree; "" where one is not known."""
    if not all(hashes):
        return ""
    if len(set(hashes)) == 1:
        return hashes[0]
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()[:_DIGITS]


def _largest(readings: Iterable[Mapping[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in readings:
        found |= {name: max(value, found.get(name, value)) for name, value in one.items()}
    return found
