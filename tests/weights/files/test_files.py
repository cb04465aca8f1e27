"""Weights files of every kind: which are understood, and what is said of those that are not."""

import io
import json
import pickle
import re
import struct
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.networks import build_network
from clothseg.weights import load_start, open_network, read_weights
from clothseg.weights.files.pickled import read_pickle
from clothseg.weights.files.tensor_file import read_raw
from clothseg.weights.inspect import inspect_weights


@pytest.fixture(scope="module")
def small() -> dict[str, torch.Tensor]:
    """Torchvision's network with the smallest backbone, 2 classes."""
    torch.manual_seed(0)
    trunk = resnet_fpn_backbone(backbone_name="resnet18", weights=None)
    state: dict[str, torch.Tensor] = torchvision.models.detection.MaskRCNN(trunk, num_classes=3).state_dict()
    return state


def saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


def empty(path: Path, _: dict[str, torch.Tensor]) -> None:
    path.write_bytes(b"")


def page(path: Path, _: dict[str, torch.Tensor]) -> None:
    path.write_text("<!DOCTYPE html><html>Sign in</html>")


def cut_torch(path: Path, state: dict[str, torch.Tensor]) -> None:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path.write_bytes(buffer.getvalue()[:100_000])


def damaged_torch(path: Path, _: dict[str, torch.Tensor]) -> None:
    torch.save({"weight": torch.zeros(5000)}, path)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        begin = next(part.header_offset for part in archive.infolist() if part.filename.endswith("/data.pkl"))
    content[begin + 40 : begin + 200] = b"?" * 160
    path.write_bytes(content)


def other_zip(path: Path, _: dict[str, torch.Tensor]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.txt", "no weights")


def cut_pickle(path: Path, _: dict[str, torch.Tensor]) -> None:
    content = pickle.dumps({"model": {"stem.conv1.weight": np.zeros((64, 3, 7, 7), np.float32)}}, protocol=2)
    path.write_bytes(content[: len(content) // 2])


def cut_safetensors(path: Path, state: dict[str, torch.Tensor]) -> None:
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    path.write_bytes(path.read_bytes()[:50_000])


def cut_hdf5(path: Path, _: dict[str, torch.Tensor]) -> None:
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"conv1"]
        file.create_dataset("conv1/kernel:0", data=np.zeros((300, 300)))
    path.write_bytes(path.read_bytes()[:2000])


def other_hdf5(path: Path, _: dict[str, torch.Tensor]) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("measurements", data=np.zeros(5))


def other_network(path: Path, _: dict[str, torch.Tensor]) -> None:
    saved(torch.nn.Sequential(torch.nn.Linear(3, 2)).state_dict(), path)


def no_tensors(path: Path, _: dict[str, torch.Tensor]) -> None:
    path.write_bytes(pickle.dumps({"epoch": 3}))


def not_finite(path: Path, state: dict[str, torch.Tensor]) -> None:
    torch.save(state | {"backbone.body.conv1.weight": state["backbone.body.conv1.weight"] * torch.nan}, path)


def checkpoint(path: Path, _: dict[str, torch.Tensor]) -> None:
    torch.save({"network": {}, "optimizer": {}, "sampler": {}, "rows": [], "generator": torch.zeros(3)}, path)


def a_list(path: Path, _: dict[str, torch.Tensor]) -> None:
    path.write_bytes(pickle.dumps([1, 2]))


def half_of_it(path: Path, state: dict[str, torch.Tensor]) -> None:
    saved({name: tensor for name, tensor in state.items() if "roi_heads.mask_head" not in name}, path)


def backbone_alone(path: Path, _: dict[str, torch.Tensor]) -> None:
    saved(torchvision.models.resnet18(weights=None).state_dict(), path)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (empty, "empty"),
        (page, "web page"),
        (cut_torch, "cut short"),
        (damaged_torch, "is damaged"),
        (other_zip, "not one that torch.save wrote"),
        (cut_pickle, "cut short"),
        (cut_safetensors, "cut short"),
        (cut_hdf5, "cut short"),
        (other_hdf5, "no layer_names"),
        (other_network, "another network"),
        (no_tensors, "no tensor by its name but epoch"),
        (not_finite, r"1 of \d+ tensors hold values that are not finite, among them backbone"),
        (checkpoint, "a checkpoint of a clothseg run"),
        (a_list, "not a dict"),
        (half_of_it, "not complete"),
        (backbone_alone, "no heads"),
    ],
)
def test_what_cannot_be_opened_is_told(
    made: Callable[[Path, dict[str, torch.Tensor]], None],
    message: str,
    small: dict[str, torch.Tensor],
    tmp_path: Path,
) -> None:
    path = tmp_path / "weights"
    made(path, small)
    with pytest.raises(WeightsError, match=message) as caught:
        open_network(path)
    assert str(path) in str(caught.value)
    assert not re.search("miniz|PytorchStreamReader|archive", str(caught.value)), "words of a library's insides"


class Touch:
    """Unpickled by Python itself, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_does_not_run_code(protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps({"model": {"res2.0.conv1.weight": Touch(mark)}}, protocol=protocol))
    with pytest.raises(WeightsError, match="could run code"):
        read_weights(path)
    with pytest.raises(WeightsError, match="would run code"):
        read_weights(saved({"model": Touch(mark)}, tmp_path / "weights.pth"))
    assert not mark.exists()


@pytest.mark.parametrize(
    "opcodes",
    [
        b"cbuiltins\neval\n(U\x011tR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cbuiltins\nlist\n(K\x00tU\x01btR(K\x01(K\x01tNNU\x00tb.",
        b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00bz2tR.",
        b"cnumpy\ndtype\n(U\x02O8K\x00K\x01tR.",
        b"cnumpy\nload\n(U\x01xtR.",
        b"\x8c\x08builtins\x8c\x04exec\x93(U\x011tR.",
    ],
)
def test_no_other_name_is_answered(opcodes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.pkl"
    path.write_bytes(b"\x80\x04" + opcodes)
    with pytest.raises(WeightsError):
        read_pickle(path)


def test_arrays_of_every_age_come_out_as_they_went_in(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "f4": np.arange(6, dtype=np.float32).reshape(2, 3),
        "f2": np.arange(4, dtype=np.float16),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">f4"),
        "value": np.float32(1.5),
        "whole": np.array(7),
        "empty": np.zeros((0, 4), np.float32),
    }
    for protocol in (2, 3, 4, 5):
        path = tmp_path / f"{protocol}.pkl"
        path.write_bytes(pickle.dumps({"model": arrays, "__author__": "somebody"}, protocol=protocol))
        found = read_pickle(path)
        assert found["__author__"] == "somebody"
        for name, array in arrays.items():
            same = np.array_equal(np.asarray(found["model"][name]), np.asarray(array))
            assert same, (protocol, name)


def test_half_precision_becomes_whole(small: dict[str, torch.Tensor], tmp_path: Path) -> None:
    halved = {name: t.half() if t.is_floating_point() else t for name, t in small.items()}
    opened = open_network(saved({"model": halved, "epoch": 3}, tmp_path / "half.pth"))
    name = "backbone.body.layer3.1.conv2.weight"
    assert torch.equal(opened.network.state_dict()["backbone.model.layer3.1.conv2.weight"], halved[name].float())
    assert opened.report.changed[name] == "from float16 to float32"
    save_file(
        {key: t.bfloat16() if t.is_floating_point() else t for key, t in small.items()}, tmp_path / "b.safetensors"
    )
    assert read_weights(tmp_path / "b.safetensors").tensors["box_head.score.weight"].dtype == torch.float32


def test_every_key_of_a_file_is_accounted_for(small: dict[str, torch.Tensor], tmp_path: Path) -> None:
    state = small | {"ema.decay": torch.zeros(1)}
    state["roi_heads.mask_head.0.0.bias"] = torch.zeros(7)
    del state["rpn.head.bbox_pred.bias"]
    found = inspect_weights(saved({"model": state, "epoch": 3}, tmp_path / "file.pth"))
    assert {key.key for key in found.keys if key.key} == state.keys() | {"epoch"}
    fates = {key.key or key.name: key.fate for key in found.keys}
    assert fates["ema.decay"] == fates["epoch"] == "left out"
    assert fates["rpn.delta.bias"] == "missing"
    assert fates["roi_heads.mask_head.0.0.bias"] == "wrong shape"
    assert fates["backbone.body.bn1.weight"] == "renamed"
    assert (found.origin, found.backbone, found.conventions) == ("torchvision", "resnet18", "torchvision")
    wrong = next(key for key in found.keys if key.fate == "wrong shape")
    assert (wrong.shape, wrong.note) == ((7,), "expected 256")


def test_a_wrong_class_count_is_told(small: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = saved(small, tmp_path / "file.pth")
    with pytest.raises(WeightsError, match="has 2 classes, but 3 names"):
        open_network(path, classes=["a", "b", "c"])
    assert open_network(path, classes=["Suit", "Dress"]).classes == ["Suit", "Dress"]


def test_old_names_of_torchvision_are_the_new_ones(small: dict[str, torch.Tensor], tmp_path: Path) -> None:
    changes = {"rpn.head.conv.0.0.": "rpn.head.conv."}
    changes |= {f"_blocks.{level}.0.": f"_blocks.{level}." for level in range(4)}
    changes |= {f"mask_head.{number}.0.": f"mask_head.mask_fcn{number + 1}." for number in range(4)}

    def aged(name: str) -> str:
        new = next((new for new in changes if new in name), None)
        return name.replace(new, changes[new]) if new else name

    old = {aged(name): tensor for name, tensor in small.items()}
    assert old.keys() != small.keys()
    newer, older = read_weights(saved(small, tmp_path / "new.pth")), read_weights(saved(old, tmp_path / "old.pth"))
    assert newer.tensors.keys() == older.tensors.keys()
    assert all(torch.equal(tensor, older.tensors[name]) for name, tensor in newer.tensors.items())
    published = saved(old, tmp_path / "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth")
    assert open_network(published).network.conventions.norm_eps == 0.0  # torchvision loads that one file so
    legacy = tmp_path / "legacy.pth"
    torch.save(old, legacy, _use_new_zipfile_serialization=False)
    assert read_weights(legacy).tensors.keys() == newer.tensors.keys()


@pytest.mark.parametrize("kind", ["torchvision", "timm"])
def test_a_bare_resnet_fills_the_backbone(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = torchvision.models.resnet18(weights=None).state_dict()
    path = tmp_path / ("resnet18.safetensors" if kind == "timm" else "resnet18.pth")
    if kind == "timm":
        save_file(state, path)
    else:
        torch.save(state, path)
    network = build_network(Config.load("demo", ["backbone.name=resnet18", "picture.height=64"]), 2)
    report = load_start(network, str(path))
    assert torch.equal(
        network.state_dict()["backbone.model.layer4.0.shortcut.0.weight"], state["layer4.0.downsample.0.weight"]
    )
    assert not [name for name in report.missing if name.startswith("backbone.")]
    assert report.reasons["fc.weight"] == "ImageNet's classifier"
    with pytest.raises(WeightsError, match=r"backbone is resnet18, the configuration's is resnet34; .*weights inspect"):
        load_start(build_network(Config.load("demo", ["backbone.name=resnet34"]), 2), str(path))


def test_a_keras_resnet_without_top_fills_the_backbone(
    tmp_path: Path, reference_weights: Callable[[str], Path]
) -> None:
    """The same arrays under the names of the older files, which give no layer before the array's name."""
    whole = reference_weights("matterport")
    path = tmp_path / "resnet50_notop.h5"
    with h5py.File(whole) as old, h5py.File(path, "w") as new:
        names = [n for n in old.attrs["layer_names"] if n.startswith((b"conv1", b"bn", b"res"))]
        new.attrs["layer_names"] = names
        for layer in (name.decode() for name in names):
            group = new.create_group(layer)
            inside = [n.decode() for n in old[layer].attrs["weight_names"]]
            kept = [f"{layer}_{'Wbcd'[number]}_1:0" for number in range(len(inside))]
            group.attrs["weight_names"] = [n.encode() for n in kept]
            for name, array in zip(kept, inside, strict=True):
                group.create_dataset(name, data=np.asarray(old[layer][array]))
    alone, all_of_it = read_weights(path), read_weights(whole)
    assert alone.classes is None
    assert alone.settings["backbone"]["name"] == "resnet50"
    assert alone.tensors.keys() == {name for name in all_of_it.tensors if name.startswith("backbone.")}
    assert all(torch.equal(tensor, all_of_it.tensors[name]) for name, tensor in alone.tensors.items())


def test_a_safetensors_header_that_lies_is_told(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(struct.pack("<Q", 10**12) + b'{"a": 1}')
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        read_weights(path)


@pytest.mark.parametrize("name", ["convnext_atto", "mobilenetv3_small_100", "resnet18"])
def test_a_classifier_of_timms_fills_its_extractor(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    classifier = timm.create_model(name).state_dict()
    save_file(classifier, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": name}))
    words = [f"backbone.name=timm/{name}", "pyramid.levels=[3,4,5]"]
    network = build_network(Config.load("demo", words), 2)
    report = load_start(network, str(tmp_path / "model.safetensors"))
    assert not [missing for missing in report.missing if missing.startswith("backbone.")]
    extractor = timm.create_model(name, features_only=True).eval()
    state = network.state_dict()
    for key, tensor in extractor.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            plain = key if key in classifier else key.replace("_", ".", 1)
            assert torch.equal(state[f"backbone.model.{key}"], classifier[plain]), key
            assert tensor.shape == classifier[plain].shape
    assert inspect_weights(tmp_path / "model.safetensors").origin == "timm"


def test_arguments_beside_torchvisions_weights_do_no_harm(small: dict[str, torch.Tensor], tmp_path: Path) -> None:
    content = {"model": small, "optimizer": {"state": {}}, "args": Namespace(lr=0.1), "epoch": 3}
    reading = read_weights(saved(content, tmp_path / "model_25.pth"))
    assert reading.left_out.keys() >= {"optimizer", "args", "epoch"}
    assert reading.classes == ["class 1", "class 2"]


def test_a_safetensors_file_that_begins_like_a_pickle_is_none(small: dict[str, torch.Tensor], tmp_path: Path) -> None:
    """Its first byte is the lowest one of its header's length: one of 32 begins as pickles do."""
    path = tmp_path / "weights.safetensors"
    for padding in range(0, 256, 8):
        save_file({name: tensor.contiguous() for name, tensor in small.items()}, path, {"note": "x" * padding})
        if path.read_bytes()[0] == 0x80:
            break
    else:
        pytest.fail("no padding gave that byte")
    assert read_raw(path).kind == "safetensors"
