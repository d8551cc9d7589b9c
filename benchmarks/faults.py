"""Faults planted on purpose, a model each: is the fault the first cause that the failing test names?

    python benchmarks/faults.py [--only casts,sort] [--seconds 0.4] [--confirm 0] [--folder DIR]

A project with a test for each fault (`faults_project.py`) is run twice, as its user would: `pytest --modelperf
--modelperf-update` while the models are sound, and `pytest --modelperf` when they carry their faults. What stands first
behind "to blame" in the section of the failing test is compared with what is expected. Printed is a table in Markdown.
Needs torch, onnx and onnxruntime beside the project, and ten minutes.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

PROJECT = Path(__file__).with_name("faults_project.py")

# By fault: what is planted, and what the first cause has to say.
FAULTS: Mapping[str, tuple[str, str]] = {
    "casts": ("`x.double().float()` between layers", r"`aten::(_to_copy|copy_|to)` 0 →"),
    "autocast": ("`torch.autocast`, which casts large weights for one sample", r"`aten::(_to_copy|copy_|to)` 0 →"),
    "copies": ("a batch that is repeated and cut again", r"`aten::(repeat|copy_|clone)` 0 →"),
    "transposes": ("`x.t().contiguous().t().contiguous()`", r"`aten::(clone|contiguous|copy_)` 0 →"),
    "layouts_of_images": ("to `channels_last` and back", r"`aten::(clone|contiguous|copy_)` 0 →"),
    "pads": ("pads that are cut off again", r"`aten::(constant_pad_nd|pad|fill_|copy_|clone)` 0 →"),
    "concatenation": ("`torch.cat` of copies", r"`aten::cat` 0 →"),
    "gather": ("columns in another order", r"`aten::index` 0 →"),
    "sort": ("`x.sort()`", r"`aten::sort` 0 →"),
    "cumulative_sum": ("`x.cumsum()`", r"`aten::cumsum` 0 →"),
    "doubled_work": ("the layers called twice", r"flops \d+ → \d+"),
    "deeper": ("three times as many layers", r"parameters \d+ → \d+"),
    "larger_images": ("images enlarged inside of the model", r"flops \d+ → \d+"),
    "another_activation": (
        "GELU in place of ReLU",
        r"`aten::gelu` 0 → \d+ calls.* in place of `aten::(relu|clamp_min)`",
    ),
    "normalisation": ("layer norms between layers", r"`aten::(native_)?layer_norm` 0 →"),
    "float64": ("the model in double", r"(size_bytes|4 calls of `aten::addmm` now as double, before as float)"),
    "dropout_left_on": (
        "`functional.dropout(x, 0.1)`, which drops in `eval()`, too",
        r"`aten::\w*(dropout|bernoulli)\w*` 0 →",
    ),
    "noise_left_on": ("`x + torch.randn_like(x)`", r"`aten::(normal_|randn_like)` 0 →"),
    "values_that_are_read": ("`item()` in a loop", r"`aten::(item|_local_scalar_dense|select|unbind|as_strided)` 0 →"),
    "row_by_row": ("a Python loop over samples", r"`aten::(linear|addmm)` 4 → 512 calls"),
    "numpy": ("a function of numpy", r"time outside of operators"),
    "waiting": ("`time.sleep`", r"time outside of operators"),
    "attention_without_its_kernel": ("a mask, and attention falls back to products", r"`aten::.*` 0 →"),
    "more_threads_than_processors": ("`torch.set_num_threads(16)`", r"threads 2 → 16"),
    "a_thread_beside": (
        "a thread that goes on working: nothing that a profile shows",
        r"the same (operators are called as often as before|4 calls of `aten::addmm` take)",
    ),
    "convolutions_without_onednn": ("oneDNN switched off", r"`aten::\w*(slow|thnn)_conv\w*` 0 →"),
    "weights_that_lie_across": ("a factor that is transposed", r"the same 10 calls of `aten::mul` take"),
    "onnx_in_double": ("weights exported as double", r"(`Cast` 0 → 2|4 calls of `MatMul` now as CPU double)"),
    "onnx_transposes": ("transposes between layers", r"`(Transpose|Reshape)` 0 → 128 calls"),
    "onnx_fusion_that_is_lost": ("values inside of layer norms are outputs, too", r"`\w+` 0 → \d+ calls"),
    "openvino_reference_kernel": (
        "a function that is not fused, and falls back",
        r"fused_operators 4 → 0|`Atan` 0 → 4",
    ),
    "graph_breaks": (
        "`if x.max() > 1e6` in a model that is compiled",
        r"new graph break, graph_breaks 0 → \d+, at test_faults.py",
    ),
}


def main(folder: Path, only: Sequence[str], seconds: float, confirm: int) -> int:
    found = first_causes(folder, only, seconds, confirm)
    print("| fault | planted | first cause named | right |\n| --- | --- | --- | --- |")
    for name, cause in found.items():
        planted, _ = FAULTS[name]
        print(f"| {name} | {planted} | {cause} | {'yes' if is_named(name, cause) else '**no**'} |", flush=True)
    right = sum(is_named(name, cause) for name, cause in found.items())
    print(f"\n{right} of {len(found)} are named first")
    return 0 if right == len(found) else 1


def is_named(fault: str, cause: str) -> bool:
    return re.match(FAULTS[fault][1], cause) is not None


def first_causes(folder: Path, only: Sequence[str] = (), seconds: float = 0.4, confirm: int = 0) -> dict[str, str]:
    """What each failing test names first; why there is nothing, where there is not."""
    names = list(only or FAULTS)
    shutil.copy(PROJECT, folder / "test_faults.py")
    (folder / "pytest.ini").write_text("[pytest]\nmodelperf_soak = 0\n")
    options = [f"--modelperf-seconds={seconds}", *(f"test_faults.py::test_{name}" for name in names)]
    sound = pytest(folder, "0", "--modelperf-update", *options)
    if f"{len(names)} passed" not in sound:
        raise SystemExit(f"the sound models do not pass:\n{sound}")
    faulty = pytest(folder, "1", f"--modelperf-confirm={confirm}", *options)
    (folder / "failing.txt").write_text(faulty)
    return {name: first_cause(faulty, name) for name in names}


def pytest(folder: Path, faulty: str, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--modelperf", *options]
    env = {**os.environ, "FAULTY": faulty}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False).stdout


def first_cause(output: str, fault: str) -> str:
    """What stands behind "to blame" in the section of a failing test."""
    section = re.search(rf"^_+ test_{fault} _+$(.*?)(?=^_+ \w+ _+$|^=+ )", output, re.M | re.S)
    # Prose is wrapped: what goes on is indented like what it belongs to.
    cause = re.search(r"^ +to blame +(.*(?:\n {10,}\S.*)*)", section[1], re.M) if section else None
    return " ".join(cause[1].split()) if cause else "(no cause)" if section else "(not found to be slower)"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="these faults alone")
    parser.add_argument("--folder", help="keep the project here, and its output as failing.txt")
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--confirm", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        sys.exit(main(Path(given.folder or folder), given.only, given.seconds, given.confirm))
