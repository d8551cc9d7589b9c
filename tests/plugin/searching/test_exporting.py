from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_modelperf.domain.estimate import Estimate
from pytest_modelperf.domain.variant import MADE_BY, Suggestion, Variant
from pytest_modelperf.plugin.searching.exporting import FACTS, publish

SUGGESTION = Suggestion(Variant("bf16", "", "cpu", ("bf16",), "bfloat16", "", 1.0, 1.0), Estimate(2.0), {})


@pytest.fixture
def written(tmp_path: Path) -> Path:
    folder = tmp_path / "made" / "export"
    folder.mkdir(parents=True)
    (folder / MADE_BY).write_text(json.dumps({"converters": ["bf16"]}))
    (folder / "model.onnx").write_text("new")
    return folder


def test_what_was_there_is_replaced_as_a_whole(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "bf16"
    folder.mkdir(parents=True)
    (folder / "model.old").write_text("old")
    publish(written, folder, SUGGESTION, "test_a-bf16")
    assert {path.name for path in folder.iterdir()} == {FACTS, "model.onnx"}
    assert [path.name for path in folder.parent.iterdir()] == ["bf16"]
    facts = json.loads((folder / FACTS).read_text())
    assert (facts["converters"], facts["suggestion"]["speedup"][0]) == (["bf16"], 2.0)


def test_what_was_there_stays_where_nothing_can_take_its_place(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out" / "bf16"
    folder.mkdir(parents=True)
    (folder / "model.old").write_text("old")
    rename = Path.rename

    def fails(path: Path, target: Path) -> Path:
        if path.name == "fresh":
            raise OSError("no")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="no"):
        publish(written, folder, SUGGESTION, "test_a-bf16")
    assert [path.name for path in folder.iterdir()] == ["model.old"]
