"""Runs the main of the module that it is told: `python child.py PATH MODULE …`. Nothing else may lie in this folder."""

import os
import sys


def main() -> None:
    # With these flags Python has not put this folder first.
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        del sys.path[0]
    import importlib

    path, name = sys.argv.pop(1), sys.argv.pop(1)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError:
        # Behind its own: the user's folder may be among them, with files that bear the names of Python's.
        sys.path += [folder for folder in path.split(os.pathsep) if folder not in sys.path]
        module = importlib.import_module(name)
    module.main(*sys.argv[1:])


# multiprocessing runs this file once more, under another name, in what it spawns.
if __name__ == "__main__":
    main()
