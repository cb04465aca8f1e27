"""The contract of every network, one row each: training, resume, prediction, evaluation and cut-outs.

`TinyGridNetwork` exists only for tests. It has a few layers, other losses than Mask R-CNN and one label grid for the
whole photo instead of masks in boxes, so it fails wherever something outside `networks/mask_rcnn/` expects Mask R-CNN.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from pretend_device import pretend_fabric
from tiny_grid_network import TinyGridNetwork, TinySettings

from clothseg.config import NETWORK_SETTINGS, Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import ConfigError
from clothseg.export import check_photos, export_onnx
from clothseg.exported import ExportedModel
from clothseg.garments import write_cutouts
from clothseg.instances import LabelMasks
from clothseg.models import MaskRCNN, Model
from clothseg.networks import NETWORKS, Network, build_network
from clothseg.prediction import detect_batch
from clothseg.report import write_report
from clothseg.runs import RunFolder
from clothseg.training import read_history
from clothseg.training.memory.forecast import forecast_memory
from clothseg.training.run_log import RunLog
from clothseg.training.trainer import Trainer

SMALL = {
    "input": {"resize": "fit", "height": 96, "width": 64},
    "backbone": {"name": "resnet18", "norm": "group", "frozen_stages": 1},
    "train": {
        "epochs": 2, "steps_per_epoch": 3, "batch_size": 2, "warmup_steps": 1, "workers": 0, "evaluate_every": 2,
        "learning_rate": 0.01, "ema_decay": 0.5,
    },
}  # fmt: skip
ROWS: dict[str, dict[str, Any]] = {
    "mask_rcnn": {
        "name": "mask_rcnn",
        "fpn": {"channels": 16, "levels": [3, 4, 5], "norm": "group"},
        "anchors": {"scales": [[16.0], [32.0], [64.0]]},
        "rpn": {"samples": 16, "pre_nms_top_n_train": 50, "post_nms_top_n_train": 20, "post_nms_top_n_test": 20},
        "box_head": {"samples": 8, "fc_dim": 16},
        "mask_head": {"channels": 8, "num_conv": 1},
        "mask_refinement": {"size": 32, "channels": 8},
    },
    "deeplab": {
        "name": "deeplab",
        "output_stride": 16,
        "aspp": {"channels": 16},
        "decoder": {"projected": [8], "channels": 16},
        "aux": True,
        "instances": "centers",
        "centers": {"aspp_channels": 16, "projected": [8], "channels": 16, "head_channels": 8},
    },
    "yolact": {
        "name": "yolact",
        "fpn": {"channels": 16, "levels": [3, 4, 5, 6], "norm": "group"},
        "anchors": {"scales": [[16.0], [32.0], [64.0], [96.0]], "square": False},
        "prototypes": {"count": 8, "channels": 16, "num_conv": 1, "norm": "group"},
        "head": {"channels": 16, "norm": "group"},
    },
    "tiny_grid": {"name": "tiny_grid", "loss_weights": {"area": 0.5}},
}


@pytest.fixture(autouse=True)
def tiny_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORK_SETTINGS, "tiny_grid", TinySettings)
    monkeypatch.setitem(NETWORKS, "tiny_grid", TinyGridNetwork)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six photos in train and two in val, each with a red and a blue rectangle on grey."""
    folder, number = tmp_path / "data", 0
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for split, count in (("train", 6), ("val", 2)):
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for position in range(count):
            number += 1
            photo = np.full((96, 64, 3), 110, dtype=np.uint8)
            images.append({"id": number, "file_name": f"{number}.png", "height": 96, "width": 64})
            for label, (top, colour) in enumerate(((8, (200, 30, 30)), (56, (30, 30, 200))), start=1):
                left = 8 + 4 * position
                photo[top : top + 32, left : left + 24] = colour
                corners = [left, top, left + 24, top, left + 24, top + 32, left, top + 32]
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": number, "category_id": label, "iscrowd": 0, "area": 768}
                    | {"segmentation": [corners], "bbox": [left, top, 24, 32]}
                )
            Image.fromarray(photo).save(folder / "images" / f"{number}.png")
        tree = {"images": images, "annotations": annotations}
        tree["categories"] = [{"id": 1, "name": "Red"}, {"id": 2, "name": "Blue"}]
        (folder / "annotations" / f"{split}.json").write_text(json.dumps(tree))
    return folder


def config_of(name: str) -> Config:
    return Config.from_tree(SMALL | {"network": ROWS[name]}, [], name)


def splits(data: Path) -> tuple[CocoLikeDataset, CocoLikeDataset]:
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    return train, val


def test_every_network_has_a_row() -> None:
    assert set(NETWORKS) == set(NETWORK_SETTINGS) == set(ROWS)


def test_a_network_without_heads_cannot_be_created() -> None:
    class Headless(Network):
        loss_names = ()

    with pytest.raises(TypeError, match="abstract"):
        Headless(Config(), 1)  # type: ignore[abstract]


@pytest.mark.parametrize("name", ROWS)
def test_loss_names_and_prefixes_fit_the_network(name: str) -> None:
    config = config_of(name)
    network = build_network(config, 2)
    assert set(config.network.weight_by_loss) == set(network.loss_names)
    names = list(network.state_dict())
    for prefixes in (("backbone.",), network.head_prefixes, network.class_layers):
        assert all(any(tensor.startswith(prefix) for tensor in names) for prefix in prefixes)
    rows = {
        tensor: len(value) for tensor, value in network.state_dict().items() if tensor.startswith(network.class_layers)
    }
    assert all(count % 3 == 0 for count in rows.values())


@pytest.mark.parametrize("name", ROWS)
def test_losses_are_equal_with_and_without_the_feature_cache(name: str, data: Path) -> None:
    train, _ = splits(data)
    network = build_network(config_of(name), 2).eval()
    images = [torch.from_numpy(train.load_image(i)).permute(2, 0, 1).float() / 255 for i in range(2)]
    targets = [train.load_instances(i) for i in range(2)]
    network.generator.manual_seed(1)
    direct = network.losses(images, targets)
    network.generator.manual_seed(1)
    cached = network.losses_cached([network.cache_features(*pair) for pair in zip(images, targets, strict=True)])
    assert set(direct) == {"total", *network.loss_names}
    weights = network.config.network.weight_by_loss
    total = sum(weights[loss] * direct[loss].item() for loss in network.loss_names)
    assert direct["total"].item() == pytest.approx(total, rel=1e-5)
    for loss, value in direct.items():
        torch.testing.assert_close(cached[loss], value)


@pytest.mark.parametrize("name", ROWS)
def test_training_prediction_evaluation_cutouts_and_report_work(name: str, data: Path, tmp_path: Path) -> None:
    train, val = splits(data)
    run = RunFolder(tmp_path / "run")
    model = Model(config_of(name)).build(train.classes)
    model.fit(train, val, run.path, quiet=True)
    rows = read_history(run.history)
    assert len(rows) == 2
    for loss in ("total", *NETWORKS[name].loss_names):
        assert {f"train_{loss}", f"val_{loss}"} <= rows[0].keys()
    log = run.log.read_text()
    assert all(f"{loss} " in log.partition("epoch 1 of 2")[2] for loss in NETWORKS[name].loss_names)
    assert "mask_AP" in rows[1] and run.curves.read_bytes().startswith(b"\x89PNG")
    again = Model.load(run.path)
    assert type(again.network) is NETWORKS[name]
    photo = val.load_image(0)
    found = again.predict(photo)
    assert found.size == (96, 64)
    assert found.masks.pixels().shape == (len(found), 96, 64)
    assert len(detect_batch(again, [photo, photo], together=True)) == 2
    assert again.evaluate(val).photos == 2
    written = write_cutouts(again.predict, again.classes, [data / "images" / "7.png"], tmp_path / "cut")
    assert (written.photos, written.failed) == (1, [])
    assert "<html" in write_report(run.path, data).read_text()


def without_masks(data: Path, split: str, every: int) -> None:
    """Leaves of every second (or so) object of a split only the box."""
    path = data / "annotations" / f"{split}.json"
    tree = json.loads(path.read_text())
    for row in tree["annotations"][::every]:
        row["segmentation"] = []
    path.write_text(json.dumps(tree))


@pytest.mark.parametrize("name", ROWS)
def test_objects_with_only_a_box_are_learned_evaluated_and_shown(name: str, data: Path, tmp_path: Path) -> None:
    without_masks(data, "train", 3)
    without_masks(data, "val", 2)
    train, val = splits(data)
    run = RunFolder(tmp_path / "run")
    config = config_of(name).changed("augment", copy_paste=0.5).changed("train", learning_rate=0.001)
    model = Model(config).build(train.classes)
    model.fit(train, val, run.path, quiet=True)
    assert "12 objects (4 of them with a box and no mask)" in run.log.read_text()
    rows = read_history(run.history)
    assert all(float(value) < 100 for key, value in rows[-1].items() if key.startswith(("train_", "val_")))
    metrics = model.evaluate(val)
    assert metrics.box_only == 2 and metrics.overall["mask_AP"] is not None
    assert "with a box and no mask" in write_report(run.path, data).read_text()


@pytest.mark.parametrize("boxes", [False, True], ids=["masks", "boxes"])
@pytest.mark.parametrize("name", ROWS)
def test_resume_is_exact(name: str, boxes: bool, data: Path, tmp_path: Path) -> None:
    if boxes:
        without_masks(data, "train", 2)
    train, val = splits(data)

    def trainer(folder: str) -> Trainer:
        config, run = config_of(name), RunFolder(tmp_path / folder)
        return Trainer(build_network(config, 2), train, val, config, run, RunLog(run.log, quiet=True))

    straight, stopped = trainer("straight"), trainer("stopped")
    for _ in range(5):
        straight.advance()
    for _ in range(2):
        stopped.advance()
    stopped.save()
    resumed = trainer("stopped")
    resumed.resume(force=False)
    for _ in range(3):
        resumed.advance()
    for tensor, value in straight.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[tensor]), tensor


@pytest.mark.parametrize("name", ROWS)
def test_every_tensor_lives_where_the_network_lives(
    name: str, data: Path, tmp_path: Path, pretend: torch.device
) -> None:
    train, val = splits(data)
    config = config_of(name).changed("train", epochs=1, evaluate_every=None)
    model = Model(config).build(train.classes)
    model.fit(train, val, tmp_path / "run", quiet=True, fabric=pretend_fabric())
    assert model.network is not None and model.network.device == pretend
    found, again = (one.predict(val.load_image(0)) for one in (model, Model.load(tmp_path / "run", device="cpu")))
    assert {t.device for t in (found.boxes, found.classes, found.scores)} == {torch.device("cpu")}
    assert found.masks.pixels().shape == (len(found), 96, 64) and len(found.masks.rle()) == len(found)
    torch.testing.assert_close(found.boxes.cpu(), again.boxes, atol=1e-2, rtol=1e-3)


@pytest.mark.parametrize("name", ROWS)
def test_the_memory_forecast_counts_weights_and_activations(name: str, data: Path) -> None:
    train, val = splits(data)
    forecast = forecast_memory(config_of(name), train, val, torch.device("cpu"))
    network = build_network(config_of(name), 2)
    assert forecast.weights == sum(t.numel() * t.element_size() for t in network.state_dict().values())
    features = 2 * 64 * (96 // 4) * (64 // 4) * 4  # the output of the second stage, which is trained, for two photos
    assert forecast.activations > features


@pytest.mark.parametrize("name", NETWORKS)
def test_an_exported_network_finds_the_same(name: str, data: Path, tmp_path: Path) -> None:
    """After a few steps; random weights give near-equal scores, which rounding puts in another order."""
    for library in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(library, reason=f"{library} is not installed")
    config = config_of(name).changed("inference", score_threshold=0.02, mask_rescoring=True)
    train, val = splits(data)
    rate = 0.002 if "centers" in ROWS[name] else 0.01
    config = config.changed(
        "train", epochs=1, steps_per_epoch=36, ema_decay=0.0, learning_rate=rate, evaluate_every=None
    )
    model = Model(config).build(train.classes).fit(train, val, tmp_path / "run", quiet=True)
    export_onnx(model, tmp_path / "model.onnx")
    exported = ExportedModel.load(tmp_path / "model.onnx")
    assert exported.classes == ["Red", "Blue"]
    photos = [(str(number), np.array(val.load_image(number))) for number in range(2)]
    photos += [("enlarged", photos[0][1].repeat(3, 0).repeat(2, 1)), ("part", photos[1][1][5:61])]
    result = check_photos(model, exported, photos)
    if "centers" not in ROWS[name]:  # so few steps give no center; tests/exported/test_grouping.py has many
        assert sum(photo.found for photo in result.photos) > 0
    assert result.changed == 0, result
    found = exported.predict(photos[0][1])
    assert found.names == ("Red", "Blue") and found.masks.pixels().shape == (len(found), 96, 64)


def test_a_network_without_an_export_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    with pytest.raises(ConfigError, match="tiny_grid: it cannot be exported"):
        export_onnx(Model(config_of("tiny_grid")).build(["Red"]), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize("name", ROWS)
def test_compiled_detections_match(name: str) -> None:
    network = build_network(config_of(name), 2).eval()
    image = torch.rand((3, 96, 64), generator=torch.Generator().manual_seed(0))
    plain = network.detect([image])[0]
    if reason := network.compile_for_inference():
        pytest.skip(f"this machine cannot compile: {reason}")
    compiled = network.detect([image])[0]
    torch.testing.assert_close(compiled.boxes, plain.boxes, atol=1e-2, rtol=1e-3)


@pytest.mark.parametrize("name", ROWS)
def test_embedded_photos_are_near_if_they_are_alike(name: str) -> None:
    """A photo of other brightness is nearer than another photo."""
    network = build_network(config_of(name), 2).eval()
    photo, other = torch.rand(2, 3, 60, 60, generator=torch.Generator().manual_seed(0)) > 0.5
    other = F.interpolate(other[None, :, :6, :6].float(), (60, 60))[0]
    first, darker, different = (network.embed(image) for image in (photo.float(), 0.9 * photo.float(), other))
    assert first.shape == (network.backbone.channels[-1],)
    assert torch.equal(first, network.embed(photo.float()))
    assert (first - darker).norm() < (first - different).norm()


def test_the_grid_network_learns_and_returns_label_masks(data: Path, tmp_path: Path) -> None:
    train, val = splits(data)
    config = config_of("tiny_grid").changed("train", epochs=1, steps_per_epoch=36, learning_rate=0.05, ema_decay=0.0)
    model = Model(config).build(train.classes)
    model.fit(train, val, tmp_path / "run", quiet=True)
    found = model.predict(val.load_image(0))
    assert isinstance(found.masks, LabelMasks)
    truth = val.load_instances(0).masks.pixels()
    masks = dict(zip(found.classes.tolist(), found.masks.pixels(), strict=True))
    for label in (1, 2):
        both = (masks[label] & truth[label - 1]).sum() / (masks[label] | truth[label - 1]).sum()
        assert both > 0.6


def test_a_model_class_refuses_another_network() -> None:
    with pytest.raises(ConfigError, match="MaskRCNN needs"):
        MaskRCNN(config_of("tiny_grid"))
