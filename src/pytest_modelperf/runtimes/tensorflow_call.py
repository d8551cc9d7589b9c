"""A call of a model of TensorFlow: its graph on arguments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from ..errors import MetricUnavailable
from . import tensorflow_graph
from .tensorflow_forms import Arguments, Form, Traced

# Makes the call and gives what it returns, with an eye on it.
Around = Callable[[Callable[[], Any]], Any]


class Call:
    """A model on its arguments. Its graph is made at the first call, as where it is served."""

    def __init__(self, form: Form, arguments: Arguments, first: Around | None = None) -> None:
        """`first` makes the first call, once there is a graph."""
        self._form, self._first = form, first
        self._arguments = arguments
        self._graph: Callable[..., Any] | None = None
        self._positional, self._named = arguments
        # How often the model was traced for it: not at all where a graph for equal shapes is there.
        self.retraced = 0

    def __call__(self) -> Any:
        if self._graph is None:
            return self._begun()
        return self._graph(*self._positional, **self._named)

    def nodes(self) -> list[tensorflow_graph.Node]:
        """The operators of its graph as it was given. Raises MetricUnavailable, also where no call has made one."""
        return tensorflow_graph.nodes(self._made(), self._arguments)

    def executed(self) -> Counter[str]:
        """The operators of its graph as it is executed, by kind. Raises MetricUnavailable as well."""
        return tensorflow_graph.executed(self._made(), self._arguments)

    def _made(self) -> Callable[..., Any]:
        if self._graph is None:
            raise MetricUnavailable("the model was not called")
        return self._graph

    def _begun(self) -> Any:
        before = self._traces()
        self._graph = self._form.graph(self._arguments)
        self.retraced = self._traces() - before
        return self() if self._first is None else self._first(self)

    def _traces(self) -> int:
        return self._form.graph.number if isinstance(self._form.graph, Traced) else 0
