"""Runs the main of the module that it is told: `python child.py MODULE …`. Nothing else may lie in this folder."""

import sys


def main() -> None:
    # With these flags Python has not put this folder first.
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        del sys.path[0]
    import importlib

    module = importlib.import_module(sys.argv.pop(1))
    module.main(*sys.argv[1:])


# multiprocessing runs this file once more, under another name, in what it spawns.
if __name__ == "__main__":
    main()
