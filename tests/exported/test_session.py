"""Files that are not exported networks are refused with one clear line."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clothseg.errors import ClothsegError, ConfigError, WeightsError
from clothseg.exported import ExportedModel, is_onnx
from clothseg.exported.metadata import FORMAT, ExportMetadata

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
METADATA = ExportMetadata(["Dress"], "boxes", {"mask_threshold": 0.5, "rule": "torchvision"}, 0.05, {}, None, "")


def write(path: Path, properties: dict[str, str]) -> Path:
    """A model with one detection, whatever the photo."""
    helper, kind = onnx.helper, onnx.TensorProto
    values = {
        "boxes": np.array([[1, 2, 5, 8]], np.float32),
        "classes": np.array([1]),
        "scores": np.array([0.75], np.float32),
        "masks": np.full((1, 4, 4), 0.9, np.float32),
    }
    nodes = [
        helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(value))
        for name, value in values.items()
    ]
    outputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in values.items()
    ]
    photo = helper.make_tensor_value_info("photo", kind.UINT8, ["height", "width", 3])
    graph = helper.make_graph(nodes, "one", [photo], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    helper.set_model_props(model, properties)
    onnx.save(model, path)
    return path


def test_a_file_is_read_and_run_without_torch(tmp_path: Path) -> None:
    path = write(tmp_path / "one.onnx", METADATA.to_properties())
    code = (
        "import sys, numpy; from clothseg.exported import ExportedModel; "
        f"found = ExportedModel.load({str(path)!r}).find(numpy.zeros((10, 9, 3), numpy.uint8)); "
        "assert found.class_names == ['Dress'] and found.scores.tolist() == [0.75]; "
        "assert found.mask_arrays()[0].sum() in range(20, 36); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_thresholds_of_classes_count(tmp_path: Path) -> None:
    path, photo = write(tmp_path / "one.onnx", METADATA.to_properties()), np.zeros((10, 9, 3), np.uint8)
    assert len(ExportedModel.load(path).find(photo, score_threshold=0.8)) == 0
    assert len(ExportedModel.load(path, class_thresholds={"Dress": 0.7}).find(photo, score_threshold=0.8)) == 1
    with pytest.raises(ClothsegError, match="no class 'Hat'"):
        ExportedModel.load(path, class_thresholds={"Hat": 0.7})
    for wrong in (2, -0.1, float("nan")):
        with pytest.raises(ConfigError, match=r"Dress=.*, but a score is from 0 to 1"):
            ExportedModel.load(path, class_thresholds={"Dress": wrong})


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({}, "clothseg did not export"),
        ({"format": "other-1"}, "clothseg did not export"),
        ({"format": "clothseg-onnx-9", "clothseg": "{}"}, "format clothseg-onnx-9, but this version"),
        ({"format": FORMAT}, "metadata cannot be read"),
        ({"format": FORMAT, "clothseg": "{"}, "metadata cannot be read"),
        ({"format": FORMAT, "clothseg": '{"classes": []}'}, "metadata cannot be read"),
        ({"format": FORMAT, "clothseg": "[" * 5000}, "metadata cannot be read"),
    ],
)
def test_wrong_metadata_is_refused(properties: dict[str, str], message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=message) as error:
        ExportedModel.load(write(tmp_path / "one.onnx", properties))
    assert "one.onnx" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [{"classes": [1]}, {"classes": []}, {"options": 3}, {"class_thresholds": 1}, {"form": "cubes"}, {"new": 1}],
)
def test_damaged_values_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    properties = METADATA.to_properties()
    properties["clothseg"] = json.dumps(json.loads(properties["clothseg"]) | change)
    with pytest.raises(WeightsError, match=r"one\.onnx"):
        ExportedModel.load(write(tmp_path / "one.onnx", properties))


def test_outputs_of_another_form_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "one.onnx", replace(METADATA, form="maps").to_properties())
    with pytest.raises(WeightsError, match=r"one\.onnx: for the form 'maps' it lacks 'region'; export the run again"):
        ExportedModel.load(path).find(np.zeros((10, 9, 3), np.uint8))


def test_other_files_are_refused(tmp_path: Path) -> None:
    for content in (b"", b"not a model", b"\x08\x09" * 100):
        (tmp_path / "broken.onnx").write_bytes(content)
        with pytest.raises(WeightsError, match=r"broken\.onnx: (onnxruntime .* cannot read it|an ONNX file)") as error:
            ExportedModel.load(tmp_path / "broken.onnx")
        assert "\n" not in str(error.value)
    with pytest.raises(WeightsError, match="no such file"):
        ExportedModel.load(tmp_path / "absent.onnx")


def test_a_damaged_name_is_one_message(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """onnxruntime prints what it does about such an error, unless it is told not to."""
    path = write(tmp_path / "one.onnx", METADATA.to_properties())
    path.write_bytes(path.read_bytes().replace(b"boxes", b"b\xa0xes"))
    with pytest.raises(WeightsError, match=r"one\.onnx: onnxruntime .* cannot read it"):
        ExportedModel.load(path)
    assert capfd.readouterr().out == ""


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ClothsegError, match="pip install onnxruntime"):
        ExportedModel.load(tmp_path / "one.onnx")


def test_an_onnx_file_is_known_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "run.onnx").mkdir()
    assert is_onnx(Path("a/B.ONNX")) and not is_onnx(Path("run")) and not is_onnx(tmp_path / "run.onnx")


def test_an_onnxruntime_that_cannot_be_loaded_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text("raise ImportError('DLL load failed')", encoding="utf-8")
    code = "from clothseg.exported import ExportedModel; ExportedModel.load('one.onnx')"
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.splitlines()[-1]
    assert "installed, but cannot be loaded (DLL load failed)" in last
    assert "pip install" in last
