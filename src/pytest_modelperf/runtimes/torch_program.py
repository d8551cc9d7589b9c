"""What the description inside a torch.export file may say, checked before torch opens it.

`torch.export.load` trusts it: sizes are given to sympify() of sympy, which is eval(); guards become the text of a
function; names of inputs, parameters and nodes become source code; operators are found by walking attributes from
`torch`, `operator` or `math`. So what torch.export itself writes is let through, and all else is refused. Nothing more
is promised: torch does not say of its loader that it is safe with any file.
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import ModelError

LEGACY = "serialized_exported_program.json"
_MODELS = "models/"
# As much of a text as a message has room for.
_SHOWN = 200

# What sympy and torch (torch/utils/_sympy/functions.py) print of a size; `Symbol` and numbers take text, no other does.
_NUMBERS = {"Float", "Integer", "Rational"}
_SYMBOLS = {"Dummy", "Symbol"}
_FUNCTIONS = {
    *("Abs", "Add", "And", "BitwiseFn_bitwise_and", "BitwiseFn_bitwise_or", "BitwiseFn_bitwise_xor", "CeilDiv"),
    *("CeilToInt", "CleanDiv", "Eq", "Equality", "ExprCondPair", "FloatPow", "FloatTrueDiv", "FloorDiv", "FloorToInt"),
    *("Ge", "GreaterThan", "Gt", "Identity", "IntTrueDiv", "IsNonOverlappingAndDenseIndicator", "LShift", "Le"),
    *("LessThan", "Lt", "Max", "Min", "Mod", "ModularIndexing", "Mul", "Ne", "Not", "Or", "Piecewise", "Pow"),
    *("PowByNatural", "PythonMod", "RShift", "RoundDecimal", "RoundToInt", "StrictGreaterThan", "StrictLessThan"),
    *(
        "ToFloat",
        "TruncToFloat",
        "TruncToInt",
        "Tuple",
        "Unequality",
        "Where",
        "ceiling",
        "exp",
        "floor",
        "log",
        "sqrt",
    ),
    *("abs", "cast_symbool_to_symint_guardless", "float", "int", "max", "min", "round", "sqrt"),
    *(f"OpaqueUnaryFn_{name}" for name in ("acos", "asin", "asinh", "atan", "cos", "cosh", "exp", "log", "log2")),
    *(f"OpaqueUnaryFn_{name}" for name in ("sin", "sinh", "sqrt", "tan", "tanh")),
}
# What a guard asks of an input, `L['x'].size()[0] <= 64`.
_QUESTIONS = {"dim", "item", "size", "storage_offset", "stride"}
_ARITHMETIC = (
    *(ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.operator, ast.unaryop),
    *(ast.boolop, ast.cmpop, ast.expr_context),
)
# Of `operator`: no attrgetter, methodcaller or call, which reach everything.
_OPERATORS = {
    *("abs", "add", "and_", "eq", "floordiv", "ge", "getitem", "gt", "invert", "is_", "is_not", "le", "lshift", "lt"),
    *("mod", "mul", "ne", "neg", "not_", "or_", "pos", "pow", "rshift", "sub", "truediv", "truth", "xor"),
}
# Of those that take functions or code; the others run compiled code, or what a program of torch.export has no use for.
_HIGHER_ORDER = {
    *("_export_tracepoint", "associative_scan", "auto_functionalized", "auto_functionalized_v2", "cond"),
    *("flex_attention", "hints_wrapper", "invoke_quant", "invoke_subgraph", "map_impl", "out_dtype", "run_const_graph"),
    *("scan", "strict_mode", "tag_activation_checkpoint", "while_loop", "with_effects", "wrap"),
    *("wrap_activation_checkpoint", "wrap_with_autocast", "wrap_with_set_grad_enabled"),
}
# They read and write files.
_FILES = {"aten::from_file", "aten::save"}

_PLAIN_FUNCTION = re.compile(r"math\.[a-z]\w*|torch\._?sym_\w+")
_ONE_LINE = re.compile(r"[^#\\;\x00-\x1f]*")
_NUMBER = re.compile(r"[+-]?[\d.][\w.+-]*")
# Names become source code: without brackets, quotes and signs of equality none of it can call or hold anything.
_NAME = re.compile(r"[\w.\-/:*+<>@$ ]*")
# Types whose default values a tree of inputs may name: torch imports whatever module stands there.
_ENUM = "__enum__"
_DEFAULTS = {"bool", "dict", "float", "int", "list", "set", "str", "tuple"}


def check_program(path: Path) -> None:
    """Raises ModelError, with the text that gave cause, for a torch.export file that may hold code."""
    for description in _descriptions(path):
        suspect = next(_suspects("", json.loads(description)), "")
        if suspect:
            raise ModelError(
                f"{path} holds {suspect[:_SHOWN]!r}, which torch.export does not write. It is not opened, since torch "
                "executes what stands there; if you trust the file, load it in a fixture (torch.export.load) and pass "
                "the program"
            )


def _descriptions(path: Path) -> Iterator[bytes]:
    """The descriptions of all programs in the file, by the reader that torch uses: no two readers read alike."""
    import torch

    with zipfile.ZipFile(path) as archive:
        if LEGACY in archive.namelist():
            yield archive.read(LEGACY)
    try:
        reader = torch._C.PyTorchFileReader(str(path))
    except RuntimeError:
        # A file of torch 2.7 or older, which torch then opens with zipfile, too.
        return
    for name in reader.get_all_records():
        if name.startswith(_MODELS):
            yield reader.get_record(name)


def _suspects(key: str, value: Any) -> Iterator[str]:
    """The texts below a key that torch.export would not write."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _suspects("", name)
            if not (name == "metadata" and _is_remark(value, each)):
                yield from _suspects(name, each)
    elif isinstance(value, list):
        for each in value:
            yield from _suspects(key, each)
    elif isinstance(value, str) and not _CHECKS.get(key, _is_name)(value):
        yield value


def _is_remark(owner: Mapping[str, Any], value: Any) -> bool:
    """Whether it is the metadata of a node or a graph: traces of the source, which nothing executes."""
    of_node = isinstance(owner.get("target"), str) or "graph" in owner
    return of_node and isinstance(value, Mapping) and all(isinstance(text, str) for text in value.values())


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _is_expression(text: str) -> bool:
    """Whether it is a size: arithmetic of symbols and numbers by sympy's and torch's functions."""
    if not _ONE_LINE.fullmatch(text):
        return False
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    texts = {id(text) for node in ast.walk(tree) for text in _texts(node)}
    return all(id(node) in texts or _is_part(node) for node in ast.walk(tree))


def _texts(node: ast.AST) -> Iterator[ast.Constant]:
    """The text in a call of what makes a symbol or a number of it, or that an input is asked for by."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(text)) as constant, *_]):
            symbol = name in _SYMBOLS and text.isidentifier()
            if symbol or (name in _NUMBERS and _NUMBER.fullmatch(text)):
                yield constant
        case ast.Subscript(slice=ast.Constant(value=str(text)) as constant):
            if _is_input(node) and _is_name(text):
                yield constant


def _is_part(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name in _FUNCTIONS | _NUMBERS | _SYMBOLS
        case ast.Call(func=ast.Attribute(attr=name, value=ast.Name(id="math" | "torch" as package))):
            return _PLAIN_FUNCTION.fullmatch(f"{package}.{name}") is not None
        case ast.Call(func=ast.Attribute(attr=name, value=held)):
            return name in _QUESTIONS and _is_input(held)
        case ast.Attribute(attr=name):
            root = _root(node)
            return not name.startswith("__" if root == "L" else "_") and root in ("L", "math", "torch")
        case ast.Subscript(value=held):
            return isinstance(held, ast.Call) or _is_input(node)
        case ast.Constant(value=value):
            return isinstance(value, int | float)
        case ast.Name(id=name):
            return not name.startswith("__")
        case ast.Tuple() | ast.keyword():
            return True
    return isinstance(node, _ARITHMETIC)


def _is_input(node: ast.AST) -> bool:
    """Whether it is one of the inputs that guards ask, or a part of one: `L['kwargs']['x']`."""
    return _root(node) == "L"


def _root(node: ast.AST) -> str:
    """The name that attributes and items are taken of."""
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


@lru_cache(maxsize=4096)
def _is_operator(text: str) -> bool:
    """Whether it names a function that computes with tensors or sizes."""
    package, _, rest = text.partition(".")
    if package == "_operator":
        return rest in _OPERATORS
    if text.startswith("torch.ops."):
        return _is_registered(text.split(".")[2:])
    return _PLAIN_FUNCTION.fullmatch(text) is not None


def _is_registered(names: list[str]) -> bool:
    """Whether they lead to an operator that is registered, or nowhere, which torch answers itself."""
    import torch
    from torch._ops import HigherOrderOperator, OpOverload

    found: Any = torch.ops
    for name in names:
        found = getattr(found, name, None)
        if found is None:
            return True
    if isinstance(found, HigherOrderOperator):
        return found.name() in _HIGHER_ORDER  # type: ignore[no-untyped-call]
    return isinstance(found, OpOverload) and found._schema.name not in _FILES


def _is_tree(text: str) -> bool:
    """Whether it describes nested inputs without a class that torch would have to import."""
    try:
        _, tree = json.loads(text)
        return all(map(_is_branch, _branches(tree)))
    except (ValueError, TypeError, KeyError):
        return text == ""


def _branches(tree: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield tree
    for child in tree["children_spec"]:
        yield from _branches(child)


def _is_branch(tree: Mapping[str, Any]) -> bool:
    context = tree["context"]
    if isinstance(context, Mapping):
        held = dict(context)
        module, name = held.pop("default_factory_module", ""), held.pop("default_factory_name", "")
        named = not (module or name) or (module == "builtins" and name in _DEFAULTS)
        return named and not any(_suspects("", held))
    # A class of a namedtuple is told as it is, keys of a dict as JSON.
    with contextlib.suppress(ValueError):
        context = json.loads(context or "null") if isinstance(context, str) else context
    return _ENUM not in repr(context) and not any(_suspects("", context))


# Keys of the description (torch/_export/serde/schema.py); what stands below others is a name.
_CHECKS: dict[str, Callable[[str], bool]] = {
    "expr_str": _is_expression,
    "guards_code": _is_expression,
    "target": _is_operator,
    "as_operator": _is_operator,
    "in_spec": _is_tree,
    "out_spec": _is_tree,
    # Arguments of operators, which torch writes down as Python writes a text.
    "as_string": lambda text: True,
    "as_strings": lambda text: True,
}
