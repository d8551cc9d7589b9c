"""What a test writes out in its call of the fixture: `modelperf(model, runtime="onnxruntime")`, read before it runs."""

from __future__ import annotations

import ast
import contextlib
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..domain.axes import check_declared
from ..domain.spec import check_argument
from ..errors import UsageError
from .marker import NAME, spec_of

if TYPE_CHECKING:
    import pytest

    from ..domain.spec import Spec

# What the cases hang on: where a call says it in a way that only running it tells, they are not known before.
_OF_CASES = {"inputs", "sweep"}


@dataclass(frozen=True)
class Call:
    """The keyword arguments of one call: those that are written out, and the names of the others (None: `**`).

    `unnamed` is how many come without a name, None where only running it tells.
    """

    literal: Mapping[str, Any]
    others: frozenset[str | None]
    unnamed: int | None


def specs(item: pytest.Item) -> Iterator[Spec]:
    """What each call in the test's body asks for, as far as it is written out. Raises UsageError for what cannot be.

    The markers alone, where no call is to be seen.
    """
    calls = _calls(getattr(item, "function", None)) if _is_ours(item) else ()
    if not calls:
        yield spec_of(item)
    for call in calls:
        _check_unnamed(call)
        for name in call.others - {None}:
            check_argument(str(name))
        spec = spec_of(item).override(call.literal)
        if spec.inputs is not None and not call.others & {*_OF_CASES, None}:
            check_declared(spec.inputs, spec.sweep)
        yield spec


def _is_ours(item: pytest.Item) -> bool:
    """Whether the name is that of the plugin's fixture, and nobody has put another one over it."""
    return len(item._fixtureinfo.name2fixturedefs.get(NAME, ())) < 2  # type: ignore[attr-defined]


def _check_unnamed(call: Call) -> None:
    """`model` is the one argument that needs no name."""
    if call.unnamed == 0:
        raise UsageError("modelperf() is given no model; write modelperf(model)")
    if call.unnamed is not None and call.unnamed > 1:
        raise UsageError(
            "modelperf(model, …) takes the model alone without a name; write the others as inputs=…, sweep=…"
        )


# The items of one function, one for each of its parameters, come one after the other.
@lru_cache(maxsize=1)
def _calls(function: Callable[..., object] | None) -> tuple[Call, ...]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))  # type: ignore[arg-type]
    except (OSError, TypeError, SyntaxError):
        # Made by `exec`, or no function of Python's.
        return ()
    # The body alone: the marker may go by the same name.
    body = [part for node in tree.body for part in getattr(node, "body", ())]
    return () if any(map(_binds, body)) else tuple(_read(call) for part in body for call in _found(part))


def _binds(part: ast.AST) -> bool:
    """Whether the name is given another meaning below."""
    nodes = list(ast.walk(part))
    return any(
        isinstance(node, ast.Name) and node.id == NAME and isinstance(node.ctx, ast.Store) for node in nodes
    ) or any(isinstance(node, ast.arg) and node.arg == NAME for node in nodes)


def _found(node: ast.AST) -> Iterator[ast.Call]:
    """The calls of the fixture below a node; not those whose errors the test waits for."""
    if _expects_errors(node):
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == NAME:
        yield node
    for child in ast.iter_child_nodes(node):
        yield from _found(child)


def _expects_errors(node: ast.AST) -> bool:
    """Whether it is a `try`, or a `with pytest.raises(…)` or `suppress(…)`."""
    if not isinstance(node, ast.With | ast.AsyncWith):
        return isinstance(node, ast.Try | getattr(ast, "TryStar", ast.Try))
    makers = [item.context_expr.func for item in node.items if isinstance(item.context_expr, ast.Call)]
    names = {getattr(maker, field, "") for maker in makers for field in ("attr", "id")}
    return not names.isdisjoint({"raises", "suppress"})


def _read(call: ast.Call) -> Call:
    literal: dict[str, Any] = {}
    keywords = [keyword for keyword in call.keywords if keyword.arg != "model"]
    for keyword in keywords:
        with contextlib.suppress(ValueError, TypeError):
            if keyword.arg is not None:
                literal[keyword.arg] = ast.literal_eval(keyword.value)
    unnamed = len(call.args) + len(call.keywords) - len(keywords)
    unpacked = any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in keywords)
    return Call(
        literal,
        frozenset(keyword.arg for keyword in keywords) - literal.keys(),
        None if unpacked else unnamed,
    )


def check(item: pytest.Item, *checks: Callable[[pytest.Item, Spec], None]) -> None:
    """Have `checks` look at all that the test asks for. Raises UsageError that names the test."""
    try:
        for spec in specs(item):
            for one in checks:
                one(item, spec)
    except UsageError as error:
        raise UsageError(f"{item.nodeid}: {error}") from None
