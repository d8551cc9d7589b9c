"""What a runner is told first: how to become a pytest like this one, but for what reports, selects and distributes."""

from __future__ import annotations

import os
import re
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ...errors import UsageError, in_words
from .. import given
from ..trees.tree import Tree
from .messages import Start

# Options by which plugins report: one process of a run does.
REPORTING: dict[str, Any] = {
    "xmlpath": None,
    "htmlpath": None,
    "json_report": False,
    "report_log": None,
    "allure_report_dir": None,
    "pastebin": None,
    "cov_source": [],
    "log_file": os.devnull,
    "durations": None,
}
# Options that a runner has values of its own for. What reports, selects, stops or distributes is the coordinator's.
_OWN_OPTIONS: dict[str, Any] = {
    **REPORTING,
    "cacheclear": False,
    "keyword": "",
    "markexpr": "",
    "deselect": None,
    "lf": False,
    "failedfirst": False,
    "newfirst": False,
    "stepwise": False,
    "maxfail": 0,
    "usepdb": False,
    "trace": False,
    "collectonly": False,
    "numprocesses": None,
    "maxprocesses": None,
    "dist": "no",
    "tx": [],
    "loadgroup": False,
    "looponfail": False,
}
# Switches of plugins that trace tests, profile them or run each in a fork: no model is timed under them. Off where they
# are on alone, for an option of the user's own may have such a name.
_NOT_TIMED = ("profile", "profile_svg", "memray", "testmon", "forked")
# In an argument of pytest's a test's name or its parameters begin here, whatever the folder is called.
_NAMES_A_TEST = re.compile(r"\[|::")
# Plugins that do no work in a runner, and need no preparing for it.
_NOT_IN_A_RUNNER = ("_cov", "pytest_cov")


def start(config: pytest.Config, path: Path, seed: int, tree: Tree | None = None) -> Start:
    """The first message to the runner of the file at `path`; of its counterpart in `tree` where there is one.

    Processes that are compared with one another have one `seed`.
    """
    plain = {name: value for name, value in vars(config.option).items() if _is_plain(value)}
    own = {name: value for name, value in _OWN_OPTIONS.items() if hasattr(config.option, name)}
    own |= {name: False for name in _NOT_TIMED if plain.get(name) is True}
    factory = getattr(config, "_tmp_path_factory", None)
    if factory is not None:
        own["basetemp"] = str(factory.mktemp("modelperf-runner"))
    arguments, workerinput = _arguments(config, tree), _workerinput(config)
    folder = str(config.invocation_params.dir)
    if tree is None:
        return Start(tuple(arguments), _argument(str(path), folder), plain | own, workerinput, tuple(sys.path), seed)
    arguments = [tree.argument(argument, folder) for argument in arguments]
    # Before the user's own, of which the last wins. pytest would look for one in the folders above the tree, too.
    rootdir = [f"--rootdir={tree.rootdir}"] if tree.rootdir else []
    # A tree whose ini file does not switch us on would skip its marked tests.
    options = {**_in_tree(plain, folder, tree), **own, "modelperf": True}
    there = _argument(tree.path(str(path)), tree.path(folder))
    return Start((*rootdir, *arguments), there, options, workerinput, tree.sys_path(), seed, tree)


def _argument(path: str, folder: str) -> str:
    """A file as an argument of a pytest that is started in this folder. Raises UsageError where it can be none."""
    if not _NAMES_A_TEST.search(path):
        return path
    try:
        relative = os.path.relpath(path, folder)
    except ValueError:
        # On another drive.
        relative = path
    if _NAMES_A_TEST.search(relative):
        raise UsageError(
            f"{path} cannot be given to the pytest of a runner, which takes what follows [ or :: for a test's name; "
            f"start pytest in {os.path.dirname(path)}, rename the folder or the file, or use --modelperf-isolate=no"
        )
    return relative


def _arguments(config: pytest.Config, tree: Tree | None) -> list[str]:
    arguments = [str(argument) for argument in config.invocation_params.args]
    arguments[:0] = [part for name in given.names(config) for part in ("-p", name)]
    there = tree.interpreter if tree is not None else None
    if config.pluginmanager.hasplugin("pytest_cov") and (there is None or there.has_cov):
        # First: what follows a "--" is no option.
        arguments.insert(0, "--no-cov")
    # In a runner the package is there before pytest can rewrite it; with `filterwarnings = error` that would end it.
    # Behind the user's own filters, of which the last wins; what follows a "--" is no option.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    arguments[end:end] = ["-W", "ignore:Module already imported so cannot be rewritten; pytest_modelperf"]
    return arguments


def _in_tree(value: Any, folder: str, tree: Tree) -> Any:
    """Options with the paths in them in another tree."""
    if isinstance(value, dict):
        return {name: _in_tree(item, folder, tree) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_in_tree(item, folder, tree) for item in value]
    return tree.argument(value, folder) if isinstance(value, str) else value


class _Node:
    """What plugins get to prepare a worker of xdist, here for a runner: they leave values in `workerinput`."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.workerinput: dict[str, Any] = {
            "workerid": "master",
            "workercount": 1,
            "testrunuid": f"modelperf-{os.getpid()}",
            "mainargv": list(sys.argv),
        }
        self.gateway = SimpleNamespace(id="master", spec=SimpleNamespace(popen=True, chdir=None))


def _workerinput(config: pytest.Config) -> dict[str, Any]:
    """What an xdist worker is told; plugins that report look for it and leave reporting to the process above."""
    given = getattr(config, "workerinput", None)
    if given is None:
        node = _Node(config)
        given = node.workerinput
        hook = getattr(config.hook, "pytest_configure_node", None)
        for implementation in hook.get_hookimpls() if hook is not None else ():
            if not implementation.plugin_name.startswith(_NOT_IN_A_RUNNER):
                _prepare(node, implementation)
    return {name: value for name, value in given.items() if _is_plain(value)}


def _prepare(node: _Node, implementation: Any) -> None:
    try:
        implementation.function(*[node for _ in implementation.argnames])
    except Exception as error:  # noqa: BLE001 - what a plugin may want of a worker, a runner need not have
        what = f"{implementation.plugin_name} cannot prepare a runner of modelperf: {in_words(error)}"
        warnings.warn(pytest.PytestWarning(what), stacklevel=1)


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_plain(item) for name, item in value.items())
    return value is None or type(value) in (bool, int, float, str, bytes)
