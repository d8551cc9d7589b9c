"""Which of the signatures of one file is called."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ModelError, UsageError, nearest

# What exporters call the one for serving.
DEFAULT = "serving_default"


def chosen(title: object, names: Sequence[str], wanted: str, runtime: str) -> str:
    """The signature that is wanted, else the one for serving, else the only one; "" where there is none.

    Raises UsageError where the one that is wanted is not there, and ModelError where one has to be.
    """
    if wanted and wanted not in names:
        raise UsageError(f"{title} has no signature {wanted!r}; {nearest(wanted, names) if names else 'it has none'}")
    if wanted or DEFAULT in names:
        return wanted or DEFAULT
    if len(names) > 1:
        raise ModelError(
            f"{title} has the signatures {', '.join(names)}, and none of them is {DEFAULT!r}; write the one that you "
            f'mean: runtime=("{runtime}", {{"signature": "{names[0]}"}})'
        )
    return names[0] if names else ""
