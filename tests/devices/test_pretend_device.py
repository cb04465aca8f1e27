"""Training, prediction and evaluation on a device that refuses tensors of the CPU; its values are those of the CPU."""

import traceback
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pretend_device
import pytest
import torch
from pretend_device import PretendTensor, pretend_fabric
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.photo_search import find_photos
from clothseg.garments import replace_files, write_cutouts
from clothseg.instances import Instances, PixelMasks, mask_iou
from clothseg.models import Model
from clothseg.networks import build_network, to_tensor
from clothseg.networks.mask_rcnn.conventions import CONVENTIONS
from clothseg.prediction import OutputFormat, PredictOptions, detect_batch, predict_files
from clothseg.report import evaluate_run
from clothseg.runs import RunFolder
from clothseg.training import read_history

Photos = tuple[CocoLikeDataset, CocoLikeDataset]
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "mix",
    [
        lambda x, y: x + y,
        lambda x, y: torch.cat([y, x]),
        lambda x, y: x.mul_(y),
        lambda x, y: x[y.long()],
        lambda x, y: y[x.long()],
        lambda x, y: torch._foreach_add([x], [y]),
        lambda x, y: torch.where(x > 0, x, y),
        lambda x, y: torch.nn.functional.linear(x, y[None]),
    ],
)
def test_operations_between_devices_are_refused(mix: Callable[[Tensor, Tensor], Any], pretend: torch.device) -> None:
    here, there = torch.ones(3, device=pretend), torch.ones(3)
    with pytest.raises(RuntimeError, match="one device"):
        mix(here, there)
    mix(torch.ones(3), torch.ones(3))
    assert (here + torch.tensor(2.0)).tolist() == [3.0] * 3  # a number may lie anywhere


def test_values_gradients_and_copies_are_those_of_the_cpu(pretend: torch.device) -> None:
    x = torch.linspace(-2, 2, 12).reshape(3, 4)
    weights = [torch.nn.Parameter(torch.linspace(0, 1, 8).reshape(2, 4)) for _ in range(2)]
    weights[1] = torch.nn.Parameter(weights[1].detach().to(pretend))
    for place, weight in zip((CPU, pretend), weights, strict=True):
        torch.autograd.backward(torch.nn.functional.linear(x.to(place), weight).square().mean())
    assert isinstance(weights[1].grad, PretendTensor) and weights[1].grad.device == pretend
    torch.testing.assert_close(weights[1].grad.cpu(), weights[0].grad, rtol=0, atol=0)
    with pytest.raises(RuntimeError):
        weights[1].detach().numpy()
    with pretend_device.without_float64(), pytest.raises(TypeError, match="float64"):
        x.to(pretend).double()


@pytest.mark.parametrize("conventions", ["torchvision", "detectron2", "matterport"])
def test_losses_and_detections_of_all_conventions(conventions: str, pretend: torch.device) -> None:
    """Also without double precision, as with MPS: that part is computed on the CPU then, with the same bits."""
    settings = {
        "backbone": {"name": "resnet18", "frozen_stages": 1},
        "input": {"resize": "square", "min_side": 96, "max_side": 128},
        "inference": {"score_threshold": 0.0, "max_detections": 5},
        "network": {
            "name": "mask_rcnn", "conventions": conventions, "fpn": {"channels": 16},
            "rpn": {"samples": 16, "pre_nms_top_n_train": 50, "post_nms_top_n_train": 20, "pre_nms_top_n_test": 50,
                    "post_nms_top_n_test": 20},
            "box_head": {"samples": 8, "fc_dim": 16}, "mask_head": {"channels": 8, "num_conv": 1},
        },
    }  # fmt: skip
    torch.manual_seed(0)
    network = build_network(Config.from_tree(settings, [], "test"), 2)
    image = torch.rand((3, 90, 60), generator=torch.Generator().manual_seed(0))
    mask = torch.zeros((1, 90, 60), dtype=torch.bool)
    mask[:, 20:70, 10:40] = True
    truth = Instances((90, 60), torch.tensor([[10.0, 20, 40, 70]]), torch.tensor([1]), PixelMasks(mask))
    results = []
    for place, limit in ((CPU, nullcontext), (pretend, nullcontext), (pretend, pretend_device.without_float64)):
        network.to(place).generator.manual_seed(3)
        with limit():
            total = network.train().losses([image], [truth])["total"]
            torch.autograd.backward(total)
            gradient = sum(float(p.grad.abs().sum()) for p in network.parameters() if p.grad is not None)
            network.zero_grad()
            found = network.eval().detect([image])[0]
            assert total.device == place
            assert {t.device for t in (found.boxes, found.classes, found.scores, found.crowd)} == {CPU}
            masks = found.masks.pixels().cpu(), found.masks.soft().cpu()
            runs = [(tuple(run["size"]), run["counts"]) for run in found.masks.rle()]
            results.append((total.item(), gradient, found.boxes.cpu(), found.scores.cpu(), *masks, runs))
    assert len(results[0][2])
    for other in results[1:]:
        assert other[:2] == pytest.approx(results[0][:2], rel=1e-4)
        for mine, theirs in zip(results[0][2:6], other[2:6], strict=True):
            torch.testing.assert_close(theirs, mine, rtol=1e-4, atol=1e-3)
        assert other[6] == results[0][6]
    assert results[1][2].equal(results[2][2])


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained on the pretended device."""
    train, val = (CocoLikeDataset().load_data(data, split).prepare() for split in ("train", "val"))
    folder = tmp_path_factory.mktemp("run") / "run"
    settings = ["weights=random", "input.height=96", "input.width=64", "network.fpn.channels=16",
                "network.box_head.fc_dim=32", "network.mask_head.channels=16", "inference.max_detections=3",
                "inference.score_threshold=0", "train.epochs=1", "train.steps_per_epoch=1", "train.batch_size=2",
                "train.ema_decay=0.5", "inference.refine_edges=auto"]  # fmt: skip
    Model(Config.load("demo", settings)).build(train.classes).fit(
        train, val, folder, quiet=True, fabric=pretend_fabric()
    )
    assert "as drawn" in RunFolder(folder).read_facts()["edges"]
    return folder


def test_a_run_is_used_on_both_devices(run: Path, photos: Photos, pretend: torch.device) -> None:
    photo = photos[1].load_image(0)
    found = [Model.load(run, device=place).predict(photo) for place in (CPU, pretend)]
    assert [f.boxes.device for f in found] == [CPU, CPU]  # detections come to the processor
    torch.testing.assert_close(found[1].boxes.cpu(), found[0].boxes, rtol=1e-4, atol=1e-2)
    assert read_history(RunFolder(run).history)


def test_edges_move_on_both_devices(run: Path, photos: Photos, pretend: torch.device) -> None:
    photo = photos[1].load_image(0)
    moved = ["inference.refine_edges=true"]
    found = [Model.load(run, device=place, overrides=moved).predict(photo) for place in (CPU, pretend)]
    assert len(found[0]) == len(found[1]) > 0
    for mine, other in zip(*(one.masks.rle() for one in found), strict=True):
        assert mask_iou([mine], [other])[0, 0] > 0.9


def test_evaluation_cutouts_compositions_and_files(
    run: Path, data: Path, tmp_path: Path, pretend: torch.device
) -> None:
    overrides = ["inference.class_agnostic_nms_iou=0.5", "inference.class_thresholds={Dress: 0.01}"]
    model = Model.load(run, device=pretend, overrides=overrides)
    assert model.network is not None and model.network.device == pretend
    assert evaluate_run(run, data, device=pretend).photos == 3
    pictures = find_photos([data / "images"])
    find = partial(model.predict, score_threshold=0.001)
    cut = write_cutouts(find, model.classes, pictures[:2], tmp_path / "cut")
    assert (cut.photos, cut.failed) == (2, []) and cut.garments > 0
    formats = frozenset(OutputFormat)
    names = dict(enumerate(model.classes, start=1))
    done = predict_files(
        partial(detect_batch, model), names, pictures[:2], tmp_path / "found", PredictOptions(formats, batch=2)
    )
    assert done is not None and (done.photos, done.failed) == (2, [])
    garment = min((tmp_path / "cut").glob("*.png"))
    name = next(name for name in model.classes if name in garment.stem)  # it was found on the first photo
    replace_files(garment, pictures[0], tmp_path / "worn.png", find, model.classes, class_name=name)
    assert (tmp_path / "worn.png").is_file()


def test_videos(run: Path, tmp_path: Path, pretend: torch.device) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 96, "yuv420p"
        for grey in (40, 200):
            frame = av.VideoFrame.from_ndarray(np.full((96, 64, 3), grey, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    model = Model.load(run, device=pretend)
    names = dict(enumerate(model.classes, start=1))
    find = partial(detect_batch, model)
    done = predict_files(find, names, [tmp_path / "clip.mp4"], tmp_path / "found", PredictOptions(batch=2))
    assert done is not None and (done.videos, done.failed) == (1, [])


class WaitingCopies(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Copies from the CPU to the device for which a GPU is waited for, by the line of clothseg that makes them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waiting: list[str] = []
        self.copies = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        to_other = func is torch.ops.aten._to_copy.default and kwargs.get("device") not in (None, args[0].device)
        if to_other and args[0].device == CPU:
            self.copies += 1
            if not kwargs.get("non_blocking", False):
                frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_stack()]
                self.waiting.append([frame for frame in frames if "clothseg" in frame][-1])
        return func(*args, **kwargs)


@pytest.mark.parametrize("conventions", list(CONVENTIONS))
def test_no_copy_to_the_device_waits(conventions: str, small: list[str], photos: Photos, pretend: torch.device) -> None:
    """`new_tensor`, and `to` without `non_blocking`, make a GPU finish all work so far."""
    config = Config.load("demo", [*small, f"network.conventions={conventions}"])
    network = build_network(config, 3).to(pretend)
    image, truth = to_tensor(photos[0].load_image(0)), photos[0].load_instances(0)
    with WaitingCopies() as found:
        network.train().losses([image], [truth])
        network.eval().detect([image])
    assert found.copies > 5
    assert not found.waiting


def test_selected_instances_stay_on_the_device(pretend: torch.device) -> None:
    boxes = torch.tensor([[0.0, 0, 4, 4], [1, 1, 5, 5], [2, 2, 6, 6]], device=pretend)
    masks = PixelMasks(torch.ones((3, 8, 8), dtype=torch.bool, device=pretend))
    found = Instances((8, 8), boxes, torch.tensor([1, 2, 1], device=pretend), masks)
    for index in (slice(1, 3), torch.tensor([False, True, True]), torch.tensor([1, 2], device=pretend)):
        some = found[index]
        assert {t.device for t in (some.boxes, some.classes, some.scores, some.crowd)} == {pretend}
        assert some.classes.tolist() == [2, 1] and len(some.masks) == 2


def test_photos_reach_the_network_from_the_cpu(small: list[str], photos: Photos, pretend: torch.device) -> None:
    network = build_network(Config.load("demo", small), 3).to(pretend).eval()
    found = network.detect([to_tensor(photos[1].load_image(n)) for n in range(2)])
    assert [f.boxes.device for f in found] == [CPU] * 2
