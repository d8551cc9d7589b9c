"""Libraries that converters need: whether they are there, without importing them, and what to install."""

from __future__ import annotations

from importlib.util import find_spec

# Module → the extra that brings it. What has none is not in the package index, or brings a build for CUDA along.
_EXTRAS = {
    "torch": "torch",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "onnxscript": "onnx",
    "tensorflow": "tensorflow",
    "openvino": "openvino",
    "ai_edge_litert": "litert",
    "tensorrt": "tensorrt",
    "nncf": "convert",
    "onnxslim": "convert",
    "tf2onnx": "convert",
}


def lacks(*modules: str) -> str:
    """What is to be installed for these, `"needs nncf: pip install …"`; "" where all are there."""
    missing = [module for module in modules if find_spec(module) is None]
    if not missing:
        return ""
    extras = sorted({_EXTRAS[module] for module in missing if module in _EXTRAS})
    extra = f"pytest-modelperf[{','.join(extras)}]"
    return f"needs {', '.join(missing)}: pip install {repr(extra) if extras else ' '.join(missing)}"
