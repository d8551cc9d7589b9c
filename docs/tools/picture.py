"""Makes docs/run.svg, the picture in docs/index.md: runs the example project and draws what the terminal showed.

    python docs/tools/picture.py [pytest arguments]

Run it in an environment with the extras torch and onnx, and transformers.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "run.svg"
WIDTH = 110
COMMAND = ["pytest", "--modelperf"]


def main(arguments: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-m", *COMMAND, "--color=yes", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT / "example_project",
        env={**os.environ, "COLUMNS": str(WIDTH), "FORCE_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    PICTURE.write_text(drawn(f"$ {' '.join([*COMMAND, *arguments])}\n{run.stdout}"), encoding="utf-8")


def drawn(output: str) -> str:
    """Terminal output as SVG, with the fonts of whoever looks at it: nothing is loaded from elsewhere."""
    # Where it ran, and what else is installed there, differs from one picture to the next and tells nothing.
    output = re.sub(r"^(rootdir|plugins|benchmark|cachedir): .*\n", "", output, flags=re.MULTILINE)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(output), soft_wrap=True)
    picture = console.export_svg(title="pytest --modelperf", unique_id="run")
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    # Some viewers drop leading spaces otherwise, and with them the alignment of the columns.
    return picture.replace("<text ", '<text xml:space="preserve" ')


if __name__ == "__main__":
    main(sys.argv[1:])
