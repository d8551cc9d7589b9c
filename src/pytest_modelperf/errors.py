"""The errors of pytest-modelperf. Each message names the thing and ends with what to do.

```
ModelPerfError
├── UsageError           what was written cannot be: a marker, a Tensor, an option, a call of the fixture
├── ModelError           the model cannot be recognised, read or called
├── MissingLibrary       a framework that the test needs is not installed
├── DeviceMissing        a device that is not there
├── MetricUnavailable    a figure that this machine, or this run, could not measure
├── NotMeasured          a case or a test that gave no figures to judge
├── BaselineError        a baseline file that is damaged, too new, or cannot be written
├── OutOfMemory          a case that does not fit on its device
├── ConversionError      a converter cannot make its variant of this model
└── PeerLost             a process that was spoken to died, hung or answered nonsense
```
"""

from __future__ import annotations

from collections.abc import Iterable


class ModelPerfError(Exception):
    """Root of every error that this project raises on purpose."""


class UsageError(ModelPerfError, ValueError):
    """What the user wrote cannot be; the message says what to write instead."""


class ModelError(ModelPerfError):
    """A model that cannot be recognised, read or called."""


class MissingLibrary(ModelError):
    """A framework that the test needs is not installed; the message names the extra."""


class DeviceMissing(ModelPerfError):
    """A device that is not there; the message lists those that are."""


class MetricUnavailable(ModelPerfError):
    """A figure that this machine, or this run, could not measure."""


class NotMeasured(ModelPerfError):
    """A case or a test that gave no figures to judge: neither a pass nor slower."""


class BaselineError(ModelPerfError):
    """A baseline file that is damaged, too new for this version, or cannot be written."""


class OutOfMemory(ModelPerfError):
    """A case that does not fit into the memory of its device."""


class ConversionError(ModelPerfError):
    """A converter cannot make its variant of this model; the message is the reason that is shown."""


class TooSlow(ConversionError):
    """A variant is too slow to be worth more of the time; made anew it would be the same."""


class PeerLost(ModelPerfError):
    """A process that was spoken to died, hung or answered nonsense."""


class ModelPerfWarning(UserWarning):
    """What a reader should know although the test passes: an uncertain verdict."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A sentence that names the known word closest to `word`, else all of them.

    >>> nearest("sweeps", ["inputs", "sweep"])
    "did you mean 'sweep'?"
    """
    from difflib import get_close_matches

    names = sorted(known)
    # Else one that begins like it: `onx` for `onnxruntime`.
    begun = {name[: len(word) + 1]: name for name in names}
    close = get_close_matches(word, names, n=1)
    close = close or [begun[start] for start in get_close_matches(word, begun, n=1, cutoff=0.8)]
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(names)}"


def in_words(error: BaseException) -> str:
    """An error's class and message: `"ValueError: no such thing"`."""
    return f"{type(error).__name__}: {error}"


def in_one_line(error: BaseException, line: int = -1) -> str:
    """An error's class and one line of its message: the last, which says most, where its library does not do otherwise.

    What was noted of it follows (PEP 678).

    >>> in_one_line(ValueError("in layer 3:\\n  no such thing"))
    'ValueError: no such thing'
    """
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()) if len(note.splitlines()) == 1)
    return f"{type(error).__name__}: {_line(error, line) or 'without a message'}{notes}"


def note(error: BaseException, what: str) -> None:
    """Note something of an error, as Python 3.11 does by `add_note`."""
    vars(error)["__notes__"] = [*getattr(error, "__notes__", ()), what]


def last_line(error: BaseException) -> str:
    """The last line of what an error says, with its class only where it says nothing."""
    return _line(error, -1) or type(error).__name__


def _line(error: BaseException, number: int) -> str:
    lines = str(error).strip().splitlines()
    return lines[number].strip() if lines else ""
