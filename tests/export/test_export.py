"""The export command, and networks whose input has any size or that compute as other implementations."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from bad_photos import bad_photos, odd_photos
from PIL import Image
from typer.testing import CliRunner

from clothseg.cli.app import app
from clothseg.config import Config
from clothseg.errors import ClothsegError
from clothseg.export import check_photos, export_onnx
from clothseg.export.check import compare
from clothseg.exported import ExportedModel
from clothseg.garments.refined import refine_edges
from clothseg.instances import ArrayInstances, BoxArrayMasks, Calibration
from clothseg.instances.refined_masks import RefinedArrayMasks
from clothseg.models import Model

for library in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(library, reason=f"{library} is not installed")

SHARED: dict[str, Any] = {
    "backbone": {"name": "resnet18", "norm": "group"},
    "input": {"resize": "keep_ratio", "min_side": 64, "max_side": 128},
}
MASK_RCNN: dict[str, Any] = {
    "name": "mask_rcnn",
    "fpn": {"channels": 16, "levels": [2, 3, 4, 5, 6]},
    "anchors": {"scales": [[8.0], [16.0], [32.0], [64.0], [96.0]]},
    "rpn": {"pre_nms_top_n_test": 60, "post_nms_top_n_test": 30},
    "box_head": {"fc_dim": 16},
    "mask_head": {"channels": 8, "num_conv": 1},
}
CASES: dict[str, dict[str, Any]] = {
    "torchvision": SHARED | {"network": MASK_RCNN},
    "detectron2": SHARED | {"network": MASK_RCNN | {"conventions": "detectron2"}},
    "refined": SHARED | {"network": MASK_RCNN | {"mask_refinement": {"size": 32, "channels": 8}}},
    "refined, another stride": SHARED
    | {
        "network": MASK_RCNN
        | {"fpn": {"channels": 16, "levels": [3, 4, 5, 6]}}
        | {"anchors": {"scales": [[8.0], [16.0], [32.0], [64.0]]}, "mask_refinement": {"size": 20, "channels": 8}}
    },
    "matterport": SHARED
    | {"network": MASK_RCNN | {"conventions": "matterport"}}
    | {"input": {"resize": "square", "min_side": 64, "max_side": 128}},
}
SIZES = ((64, 64), (150, 81), (40, 200), (333, 250))


def photos() -> list[tuple[str, np.ndarray[Any, np.dtype[np.uint8]]]]:
    """Smooth ones: noise gives scores too close together, which rounding puts in another order."""
    draw, answer = np.random.default_rng(0), []
    for height, width in SIZES:
        small = Image.fromarray(draw.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        answer.append((f"{height} x {width}", np.array(small.resize((width, height), Image.Resampling.BICUBIC))))
    return answer


def spread(model: Model) -> None:
    """Larger last layers: random ones give scores that are nearly equal."""
    assert model.network is not None
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.network.named_parameters():
        if name.startswith(("rpn.score", "box_head.score", "refinement.change")):
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3


@pytest.mark.parametrize("name", [name for name in CASES if name != "torchvision"])
def test_networks_of_other_implementations_find_the_same(name: str, tmp_path: Path) -> None:
    config = Config.from_tree(CASES[name], [], name).changed("inference", score_threshold=0.3)
    model = Model(config).build(["Red", "Blue"])
    spread(model)
    export_onnx(model, tmp_path / "model.onnx")
    result = check_photos(model, ExportedModel.load(tmp_path / "model.onnx"), photos())
    assert sum(photo.found for photo in result.photos) > 5
    assert result.changed == 0, result


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    """A network of torchvision's form, whose scores are calibrated and whose edges move, and its exported file."""
    config = Config.from_tree(CASES["torchvision"], [], "torchvision")
    model = Model(config.changed("inference", score_threshold=0.3, refine_edges=True)).build(["Red", "Blue"])
    spread(model)
    model.calibration = Calibration((1.5, 0.8), (-0.5, 0.3), (60, 50), 12, "abc")
    path = tmp_path_factory.mktemp("calibrated") / "model.onnx"
    export_onnx(model, path)
    return model, path


def test_a_calibration_is_exported_too(calibrated: tuple[Model, Path]) -> None:
    model, exported = calibrated[0], ExportedModel.load(calibrated[1])
    assert exported.calibration == model.calibration
    result = check_photos(model, exported, photos())
    assert sum(photo.found for photo in result.photos) > 5
    assert result.changed == 0, result
    found = [exported.find(photo).scores.tolist() for _, photo in photos()]
    calibration, model.calibration = model.calibration, None
    own = [model.predict(photo).scores.tolist() for _, photo in photos()]
    model.calibration = calibration
    assert found != own


def test_edges_move_with_torch_and_without_it(calibrated: tuple[Model, Path]) -> None:
    """The check compares the networks' own masks, because an edge may jump for the last digit."""
    model, exported = calibrated[0], ExportedModel.load(calibrated[1])
    config = model.config
    assert check_photos(model, exported, photos()).changed == 0
    assert exported.metadata.refine_edges and model.config.inference.refine_edges, "the check changed them"
    moved = 0
    for _, photo in photos():
        found, arrays = model.predict(photo), exported.find(photo)
        model.config = config.changed("inference", refine_edges=False)
        own = model.predict(photo)
        model.config = config
        assert torch.equal(found.boxes, own.boxes) and torch.equal(found.scores, own.scores)
        assert found.masks.rle() == refine_edges(photo, own).masks.rle()
        assert isinstance(arrays.masks, RefinedArrayMasks) and len(arrays) == len(found)
        moved += sum(a["counts"] != b["counts"] for a, b in zip(found.masks.rle(), own.masks.rle(), strict=True))
    assert moved


def some(scores: list[float], shift: float = 0.0) -> ArrayInstances:
    boxes = np.array([[5 + 20 * n, 5, 20 + 20 * n, 30] for n in range(len(scores))], np.float32).reshape(-1, 4) + shift
    masks = BoxArrayMasks(boxes, (40, 60), np.ones((len(scores), 4, 4), np.float32))
    return ArrayInstances((40, 60), boxes, np.ones(len(scores), np.int64), np.array(scores, np.float32), masks)


def test_what_counts_as_changed() -> None:
    expected = some([0.9, 0.5]).to_instances()
    assert compare("", expected, some([0.9, 0.5])).changed == 0
    assert compare("", expected, some([0.5, 0.9])).changed == 4
    assert compare("", expected, some([0.9])).changed == 1
    assert compare("", expected, some([0.9, 0.502])).changed == 2
    assert compare("", expected, some([0.9, 0.5], shift=0.6)).changed == 4
    assert compare("", some([]).to_instances(), some([0.9])).changed == 1


def coarse_activations(model: onnx.ModelProto) -> list[str]:
    """The activations whose input has 8 bits over the whole range of a convolution, most of which they cut off."""
    maker = {name: node for node in model.graph.node for name in node.output}
    found = []
    for node in model.graph.node:
        chain = [node]
        while len(chain) < 4 and chain[-1].input[0] in maker:
            chain.append(maker[chain[-1].input[0]])
        kinds = [one.op_type for one in chain]
        if kinds[0] in ("Relu", "Clip") and kinds[1:] == ["DequantizeLinear", "QuantizeLinear", "Conv"]:
            found.append(node.name)
    return found


def test_the_command_writes_and_checks_and_predict_runs_the_file(tmp_path: Path) -> None:
    tree = CASES["torchvision"] | {"input": {"resize": "fit", "height": 64, "width": 64}}
    model = Model(Config.from_tree(tree, [], "test")).build(["Red", "Blue"])
    model.save(tmp_path / "weights.safetensors")
    (tmp_path / "photos").mkdir()
    for name, photo in photos()[:2]:
        Image.fromarray(photo).save(tmp_path / "photos" / f"{name}.png")
    out, runner = tmp_path / "model.onnx", CliRunner()
    words = [
        "export",
        str(tmp_path / "weights.safetensors"),
        "--out",
        str(out),
        "--set",
        "inference.score_threshold=0.4",
    ]
    (tmp_path / "file").touch()
    nowhere = [*words[:3], str(tmp_path / "file" / "model.onnx")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Model, "load", lambda *_, **__: pytest.fail("it is known before that nothing can be written"))
        assert "is a file, not a folder; choose another place" in str(runner.invoke(app, nowhere).exception)
    done = runner.invoke(app, [*words, "--check", str(tmp_path / "photos"), "--int8", str(tmp_path / "photos")])
    assert done.exit_code in {0, 1}, done.output
    assert "on 6 photos" in done.output
    exported = ExportedModel.load(out)
    assert (exported.metadata.numbers, exported.metadata.score_threshold) == ("int8", 0.4)
    assert coarse_activations(onnx.load(out)) == []
    with pytest.raises(ClothsegError, match="exists"):
        export_onnx(model, out)
    found = tmp_path / "found"
    done = runner.invoke(app, ["predict", str(out), str(tmp_path / "photos"), "--out", str(found), "--format", "coco"])
    assert done.exit_code == 0, done.output
    listed = json.loads((found / "images.json").read_text())
    assert [row["name"] for row in listed["categories"]] == ["Red", "Blue"] and len(listed["images"]) == 2


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A small network in a file."""
    tree = CASES["torchvision"] | {"input": {"resize": "fit", "height": 64, "width": 64}}
    Model(Config.from_tree(tree, [], "test")).build(["Red", "Blue"]).save(tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def test_photos_that_cannot_be_read_are_named_and_the_others_done(weights: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "photos", tmp_path / "model.onnx"
    folder.mkdir()
    bad, good = bad_photos(folder), odd_photos(folder)
    words = ["export", str(weights), "--out", str(out), "--check", str(folder), "--int8", str(folder)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1, done.output
    named = done.output.replace("\n", "")
    assert all(named.count(f"{name}:") == 1 for name in bad)
    assert f"on {len(good) + 4} photos" in done.output
    assert ExportedModel.load(out).metadata.numbers == "int8"


@pytest.mark.parametrize("option", ["--check", "--int8"])
def test_nothing_is_written_if_no_photo_can_be_read(option: str, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    out = tmp_path / "model.onnx"
    done = CliRunner().invoke(app, ["export", str(weights), "--out", str(out), option, str(tmp_path / "bad.jpg")])
    assert done.exit_code == 2, done.output
    assert "bad.jpg" in done.output
    assert not out.exists()


def test_a_failure_with_8_bits_leaves_the_file_as_it_was(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    odd_photos(tmp_path / "photos")
    out = tmp_path / "model.onnx"
    out.write_bytes(b"an earlier file")

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left on the disk")

    monkeypatch.setattr("onnxruntime.quantization.quantize_static", fail)
    words = ["export", str(weights), "--out", str(out), "--int8", str(tmp_path / "photos"), "--overwrite"]
    assert isinstance(CliRunner().invoke(app, words).exception, OSError)
    assert out.read_bytes() == b"an earlier file"
    assert [path.name for path in tmp_path.iterdir() if ".onnx" in path.name] == ["model.onnx"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export", "nothing", "--out", "x.bin"], "must end in .onnx"),
        (["export", "nothing", "--out", "x.onnx"], "no such weights file"),
        (["predict", "x.onnx", "p", "--device", "cuda"], "runs on the CPU"),
        (["predict", "x.onnx", "p", "--set", "a=b", "--compile"], "--set, --compile: not for an ONNX file"),
        (["predict", "x.onnx", "p"], "no such file"),
        (["cutout", "x.onnx", "p"], "no such file"),
    ],
)
def test_wrong_input_is_refused(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").mkdir()
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, ClothsegError) and message in str(done.exception)
