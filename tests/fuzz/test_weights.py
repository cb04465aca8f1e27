"""Broken weights files, in every container and with the names of every origin."""

import io
import json
import pickle
import random
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import torchvision
from fuzzing import ODD_VALUES, Fuzz, bomb, spoil_bytes, spoil_json
from safetensors.torch import save as to_safetensors
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.weights.check import check_model
from clothseg.weights.load import read_weights
from clothseg.weights.loaded_model import load_model

DETECTRON2 = (
    *("backbone.bottom_up.stem.conv1.weight", "backbone.bottom_up.stem.conv1.norm.weight"),
    *(
        "backbone.bottom_up.res2.0.conv1.weight",
        "backbone.bottom_up.res2.0.shortcut.weight",
        "backbone.fpn_lateral2.bias",
    ),
    *("proposal_generator.rpn_head.conv.weight", "proposal_generator.rpn_head.anchor_deltas.weight"),
    *(
        "roi_heads.box_head.fc1.weight",
        "roi_heads.box_predictor.cls_score.weight",
        "roi_heads.box_predictor.bbox_pred.weight",
    ),
    *("roi_heads.mask_head.mask_fcn1.weight", "roi_heads.mask_head.predictor.weight", "pixel_mean"),
    *("conv1_w", "res2_0_branch2a_w", "fc6_w", "cls_score_w", "bbox_pred_b", "mask_fcn_logits_w"),
)
KERAS = (
    *("conv1/conv1/kernel:0", "bn_conv1/bn_conv1/gamma:0", "res2a_branch2a/res2a_branch2a/kernel:0"),
    *("fpn_c5p5/fpn_c5p5/kernel:0", "mrcnn_class_logits/mrcnn_class_logits/kernel:0"),
    *("mrcnn_bbox_fc/mrcnn_bbox_fc/kernel:0", "mrcnn_mask/mrcnn_mask/kernel:0", "rpn_model/rpn_conv_shared/kernel:0"),
)
DEEPLAB = (
    *("sem_seg_head.decoder.res5.project_conv.convs.0.weight", "sem_seg_head.decoder.res5.project_conv.project.weight"),
    *("sem_seg_head.predictor.weight", "sem_seg_head.predictor.bias", "backbone.res2.0.conv2.weight"),
    *("sem_seg_head.decoder.res2.project_conv.weight", "sem_seg_head.decoder.res2.fuse_conv.0.weight"),
    *("ins_embed_head.decoder.res5.project_conv.convs.0.weight", "ins_embed_head.center_head.0.weight"),
)
TORCHVISION_DEEPLAB = (
    *("classifier.0.convs.0.0.weight", "classifier.0.convs.4.1.weight", "classifier.1.weight", "classifier.4.weight"),
    *("classifier.4.bias", "aux_classifier.4.weight", "backbone.conv1.weight", "backbone.layer4.0.conv2.weight"),
)
YOLACT = (
    *("backbone.conv1.weight", "backbone.layers.0.0.conv3.weight", "semantic_seg_conv.weight"),
    *("fpn.lat_layers.0.weight", "fpn.lat_layers.1.weight", "fpn.pred_layers.0.weight"),
    *(f"prediction_layers.0.{layer}_layer.{kind}" for layer in ("bbox", "conf", "mask") for kind in ("weight", "bias")),
    *(f"proto_net.{number}.weight" for number in (0, 2, 4, 8, 10)),
)
TIMM = ("conv_stem.weight", "bn1.weight", "blocks.0.0.conv_dw.weight", "classifier.weight", "conv1.weight", "fc.weight")
DTYPES = (torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool, torch.complex64)


@pytest.fixture(scope="module")
def shapes() -> dict[str, list[int]]:
    """Torchvision's Mask R-CNN: names, and shapes with at most 4 values along each axis."""
    with torch.device("meta"):
        body = resnet_fpn_backbone(backbone_name="resnet18", weights=None)
        state = torchvision.models.detection.MaskRCNN(body, num_classes=3).state_dict()
    return {name: [min(side, 4) for side in tensor.shape] for name, tensor in state.items()}


def tensors(shapes: dict[str, list[int]], rng: random.Random) -> dict[Any, Any]:
    kind = rng.randrange(7)
    if kind == 0:
        state = {name: torch.ones(shape) for name, shape in shapes.items()}
    else:
        names = (DETECTRON2, KERAS, TIMM, DEEPLAB, TORCHVISION_DEEPLAB, YOLACT)[kind - 1]
        state = {name: torch.ones([rng.randint(1, 4) for _ in range(1 if "bias" in name else 4)]) for name in names}
    for name in rng.sample(list(state), min(len(state), rng.randint(1, 4))):
        change = rng.randrange(6)
        if change == 0:
            del state[name]
        elif change == 1:
            state[rng.choice(["", "x", name + ".a", "é", "\x00", name.replace(".", "_"), "a" * 3000])] = state.pop(name)
        elif change == 2:
            state[name] = state[name].to(rng.choice(DTYPES))
        elif change == 3:
            state[name] = torch.ones(rng.choice([[], [0], [1], [3, 0], [2, 3], [1, 1, 1, 1, 1], [4, 4, 1, 1]]))
        elif change == 4:
            state[name] = torch.full_like(state[name], rng.choice([float("nan"), float("inf"), 1e38]))
        else:
            state[name] = rng.choice(ODD_VALUES)
    return state


def only_tensors(state: dict[Any, Any]) -> dict[str, torch.Tensor]:
    return {str(name): value for name, value in state.items() if isinstance(value, torch.Tensor)}


def test_files_of_torch(fuzz: Fuzz, shapes: dict[str, list[int]]) -> None:
    def make(rng: random.Random) -> bytes:
        state: Any = tensors(shapes, rng)
        state = rng.choice([state, {"model": state}, {"state_dict": state, "epoch": 3}, [state], OrderedDict(state)])
        stream = io.BytesIO()
        torch.save(state, stream, _use_new_zipfile_serialization=rng.random() < 0.7)
        data = stream.getvalue()
        kind = rng.randrange(4)
        if kind == 0 and data.startswith(b"PK"):
            data = rewritten(data, rng)
        return spoil_bytes(data, rng) if kind == 1 else data

    fuzz(make, read_weights, name="weights.pth")


def rewritten(data: bytes, rng: random.Random) -> bytes:
    """The archive with parts that are missing, renamed, doubled, compressed, or spoiled."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w", rng.choice([0, 8, 14])) as new:
        for name in old.namelist():
            content = old.read(name)
            kind = rng.randrange(12)
            if kind != 0:
                new.writestr(rng.choice(["../x", name + "/", "é"]) if kind == 1 else name, content)
            if kind == 2:
                new.writestr(name + "x", spoil_bytes(content, rng))
    changed = stream.getvalue()
    return changed.replace(b"PK\x05\x06\x00\x00", b"PK\x05\x06\x03\x00") if rng.random() < 0.2 else changed


def test_pickles(fuzz: Fuzz, shapes: dict[str, list[int]]) -> None:
    def make(rng: random.Random) -> bytes:
        state = {
            name: value.float().numpy() if isinstance(value, torch.Tensor) and not value.is_complex() else value
            for name, value in tensors(shapes, rng).items()
        }
        if rng.random() < 0.2:
            state["odd"] = rng.choice([np.array([{}]), np.zeros(2, "U3"), np.zeros(2, "f4,i2"), np.datetime64("2020")])
        data = pickle.dumps(rng.choice([state, {"model": state}, {"blobs": state}]), protocol=rng.choice([2, 3, 4]))
        kind = rng.randrange(5)
        if kind == 0:
            return hostile(rng)
        return spoil_bytes(data, rng) if kind <= 2 else data

    fuzz(make, read_weights, name="weights.pkl")


def hostile(rng: random.Random) -> bytes:
    """A pickle that calls something, with arguments that are too few, too many or of the wrong type."""
    names = [b"cposix\nsystem\n", b"cbuiltins\neval\n", b"cnumpy\nload\n", b"cnumpy\ndtype\n", b"c_codecs\nencode\n"]
    names += [b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy.core.multiarray\nscalar\n", b"cnumpy\nndarray\n"]
    names += [b"cnumpy._core.numeric\n_frombuffer\n", b"ccollections\nOrderedDict\n", b"c__builtin__\nbytes\n"]
    arguments = [b"(", b"(I1\n", b"(N", b"(Vtouch broken\n", b"(]", b"(}", b"(I-5\nI4000000000\n", b"((I1\nt"]
    call = rng.choice(names) + rng.choice(arguments) + b"tR"
    state = rng.choice([b"", b"(I1\nI2\ntb", b"Nb", b"(I1\n(I99999999999\ntN]Vx\ntb", b"}b"])
    return b"\x80\x02}Va\n" + call + state + b"s."


def test_safetensors(fuzz: Fuzz, shapes: dict[str, list[int]]) -> None:
    def make(rng: random.Random) -> bytes:
        data = to_safetensors(only_tensors(tensors(shapes, rng)) or {"a": torch.ones(1)})
        kind = rng.randrange(3)
        if kind == 0:
            return spoil_bytes(data, rng)
        if kind == 1:
            length = int.from_bytes(data[:8], "little")
            header = spoil_json(json.loads(data[8 : 8 + length]), rng)
            return len(header).to_bytes(8, "little") + header + data[8 + length :]
        return data

    fuzz(make, read_weights, name="weights.safetensors")


def test_settings_in_files_of_clothseg(fuzz: Fuzz) -> None:
    settings = Config.load("demo").to_yaml()

    def make(rng: random.Random) -> bytes:
        metadata = {"format": "clothseg-1", "config": settings, "classes": '["Suit", "Dress"]'}
        key = rng.choice(["config", "config", "classes", "format"])
        kind = rng.randrange(6)
        if kind == 0:
            del metadata[key]
        elif kind == 1:
            metadata[key] = rng.choice(
                [bomb(9), "[" * 3000 + "]" * 3000, "!!timestamp x", "null", "3", '"a"', "{}", "[[]]"]
            )
        elif kind == 2:
            metadata[key] = spoil_bytes(metadata[key].encode(), rng).decode("utf-8", "replace")
        elif kind == 3:
            metadata["classes"] = rng.choice(
                ["[1]", '["a", "a"]', '[""]', "[]", '["\\ud800"]', '["' + "a" * 5000 + '"]']
            )
        else:
            lines = settings.splitlines()
            place = rng.randrange(len(lines))
            name, _, value = lines[place].partition(":")
            numbers = ["1000000000", "0", "-1", "1e30", "[]", "{}", "null", "[1000000000]", "true", value]
            lines[place] = f"{name}: {rng.choice(numbers)}"
            metadata["config"] = "\n".join(lines)
        return to_safetensors({"backbone.a": torch.ones(2)}, metadata)

    def read(path: Path) -> None:
        check_model(path)
        load_model(path)

    fuzz(make, read, name="weights.safetensors")


def test_keras_files(fuzz: Fuzz, tmp_path: Path) -> None:
    def make(rng: random.Random) -> bytes:
        path = tmp_path / "made.h5"
        with h5py.File(path, "w") as file:
            root = file.create_group("model_weights") if rng.random() < 0.3 else file
            layers = [name.split("/")[0] for name in KERAS]
            root.attrs["layer_names"] = rng.choice([layers, [b"x"], "conv1", 3, np.array(layers, "S40")])
            for name in KERAS:
                layer, inside = name.split("/", 1)
                group = root.create_group(layer)
                group.attrs["weight_names"] = rng.choice([[inside], [inside], [inside], ["nothing"], 7])
                if rng.random() < 0.05:
                    group.create_dataset(inside, shape=(70_000, 70_000), dtype="f8", chunks=(100, 100))
                else:
                    group[inside] = rng.choice(
                        [np.ones((2, 2, 3, 4), "f4"), np.ones(3, ">f8"), np.ones(3, "f4,i4"), "text"]
                    )
        data = path.read_bytes()
        return spoil_bytes(data, rng) if rng.random() < 0.5 else data

    fuzz(make, read_weights, name="weights.h5", one_of=10, processes=True)


def test_a_declared_size_is_not_allocated(tmp_path: Path) -> None:
    """40 GB of zeros take no place in an HDF5 file."""
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["conv1"]
        group = file.create_group("conv1")
        group.attrs["weight_names"] = ["kernel:0"]
        group.create_dataset("kernel:0", shape=(70_000, 70_000), dtype="f8", chunks=(100, 100))
    assert path.stat().st_size < 100_000
    with pytest.raises(WeightsError, match="far larger than the file"):
        read_weights(path)


def test_no_file_runs_a_program(tmp_path: Path) -> None:
    """Every container that can hold a pickle, with one that would create a file."""
    target = tmp_path / "ran"

    class Program:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (target,)

    pickled = pickle.dumps({"a": Program()})
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/version", "3\n")
    legacy = io.BytesIO()
    torch.save({"a": Program()}, legacy, _use_new_zipfile_serialization=False)
    for data in (pickled, archive.getvalue(), legacy.getvalue()):
        path = tmp_path / "weights"
        path.write_bytes(data)
        with pytest.raises(WeightsError, match=r"weights: "):
            read_weights(path)
        assert not target.exists()
