"""What an IR file says of itself, read without OpenVINO."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_modelperf.domain.signature import Input, Shape
from pytest_modelperf.errors import ModelError
from pytest_modelperf.runtimes.openvino_ir import claims, read

# As openvino.save_model writes it.
PARAMETER = """
<layer id="0" name="{name}" type="Parameter" version="opset1"><data shape="{shape}" element_type="{kind}" />
<output><port id="0" precision="FP32" names="{names}"><dim>-1</dim>{info}</port></output></layer>"""
CONSTANT = """
<layer id="1" name="w" type="Const" version="opset1"><data element_type="{kind}" shape="{shape}" offset="0" size="8" />
<output><port id="0" precision="FP16" names="w"><dim>8</dim></port></output></layer>"""
BODY = """
<layer id="2" name="loop" type="Loop" version="opset5"><body><layers>{layers}</layers></body></layer>
<layer id="3" name="choice" type="If" version="opset8"><then_body><layers>{layers}</layers></then_body></layer>"""
LAYOUT = '<rt_info><attribute name="layout" version="0" layout="{layout}" /></rt_info>'


def write(folder: Path, *layers: str, weights: bool = True) -> Path:
    path = folder / "net.xml"
    whole = f'<?xml version="1.0"?>\n<net name="net" version="11"><layers>{"".join(layers)}</layers></net>'
    path.write_text(whole)
    if weights:
        path.with_suffix(".bin").write_bytes(b"\0" * 8)
    return path


def parameter(shape: str, kind: str = "f32", names: str = "x", name: str = "layer", layout: str = "") -> str:
    info = LAYOUT.format(layout=layout) if layout else ""
    return PARAMETER.format(shape=shape, kind=kind, names=names, name=name, info=info)


@pytest.mark.parametrize(
    ("shape", "layout", "found"),
    [
        ("1,3,224,224", "", (1, 3, 224, 224)),
        ("?,3,224,224", "", (None, 3, 224, 224)),
        ("1..8,3,64..,?", "", (None, 3, None, None)),
        ("?,?,?,3", "[N,H,W,C]", ("batch", "H", "W", 3)),
        ("?,4", "[?,C]", (None, 4)),
        ("?,4", "[N,...]", ("batch", 4)),
        ("?,4,4", "[N,...]", (None, 4, 4)),
        ("", "", ()),
        ("...", "", None),
    ],
)
def test_shapes(tmp_path: Path, shape: str, layout: str, found: Shape) -> None:
    assert read(write(tmp_path, parameter(shape, layout=layout))).signature.inputs == (Input("x", found, "float32"),)


@pytest.mark.parametrize(
    ("kind", "dtype"), [("i64", "int64"), ("boolean", "bool"), ("bf16", "bfloat16"), ("u4", "u4"), ("string", "string")]
)
def test_dtypes_are_those_of_numpy(tmp_path: Path, kind: str, dtype: str) -> None:
    assert read(write(tmp_path, parameter("?,3", kind))).signature.inputs == (Input("x", (None, 3), dtype),)


@pytest.mark.parametrize(
    ("names", "found", "aliases"), [("x,alias", "x", ("alias",)), (r"a\,b,c", "a,b", ("c",)), ("", "layer", ())]
)
def test_names(tmp_path: Path, names: str, found: str, aliases: tuple[str, ...]) -> None:
    (known,) = read(write(tmp_path, parameter("1", names=names))).signature.inputs
    assert known == Input(found, (1,), "float32", aliases=aliases)


def test_weights_are_counted_and_arguments_are_not(tmp_path: Path) -> None:
    constants = [
        CONSTANT.format(kind=kind, shape=shape) for kind, shape in (("f16", "8, 4"), ("f32", "2"), ("i64", "3"))
    ]
    ir = read(write(tmp_path, parameter("1"), *constants, CONSTANT.format(kind="i8", shape="5")))
    assert (ir.parameters, ir.precision) == (39, "float16")
    scalar = read(write(tmp_path, CONSTANT.format(kind="f32", shape="")))
    assert (scalar.parameters, scalar.precision) == (1, "float32")


def test_the_bodies_of_loops_and_branches_have_inputs_of_their_own(tmp_path: Path) -> None:
    body = BODY.format(layers=parameter("1", names="inner") + CONSTANT.format(kind="f32", shape="7"))
    ir = read(write(tmp_path, body, parameter("2"), body))
    assert [known.name for known in ir.signature.inputs] == ["x"]
    assert ir.parameters == 0


def test_other_xml_is_not_openvino_s(tmp_path: Path) -> None:
    path = tmp_path / "page.xml"
    path.write_text("<?xml version='1.0'?><project><network/></project>")
    assert not claims(path)
    assert claims(write(tmp_path))
    assert not claims(tmp_path / "absent.xml")
    assert not claims(tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, parameter("1"))
    path.write_text(path.read_text()[:-20])
    with pytest.raises(
        ModelError, match=r"net.xml is no OpenVINO model, or a damaged one \(.*Write it anew with openv"
    ):
        read(path)


def test_weights_that_are_not_beside_the_file_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, parameter("1"), weights=False)
    assert read(path).parameters == 0
    write(tmp_path, CONSTANT.format(kind="f32", shape="7"), weights=False)
    with pytest.raises(
        ModelError, match=r"net.xml keeps its weights in 'net.bin', which is not beside it; put it there"
    ):
        read(path)
