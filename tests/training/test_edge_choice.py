"""`inference.refine_edges=auto`: drawn photos on which moved edges are right or wrong, and whole runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.distributed import SINGLE_PROCESS
from clothseg.instances import BoxMasks, Instances, encode
from clothseg.instances.refined_masks import RefinedMasks
from clothseg.models import Model
from clothseg.networks import Network
from clothseg.runs import RunFolder
from clothseg.training import edge_choice
from clothseg.training.edge_choice import EdgeChoice, choose_edges
from clothseg.weights import read_network, write_network

from .conftest import SMALL, Photos

SIDE = 160
RADIUS = 45


def disc(radius: float) -> NDArray[np.bool_]:
    ys, xs = np.mgrid[:SIDE, :SIDE]
    return np.asarray((ys - 80) ** 2 + (xs - 80) ** 2 <= radius**2, dtype=np.bool_)


class CoarseDisc:
    """Stands for a network: on every photo it finds the disc, with a mask whose edge lies within the disc's."""

    def __init__(self) -> None:
        self.training, self.device, self.distributed = True, torch.device("cpu"), SINGLE_PROCESS

    def eval(self) -> None:
        self.train(mode=False)

    def train(self, mode: bool) -> None:
        self.training = mode

    def detect(self, images: list[torch.Tensor]) -> list[Instances]:
        assert not self.training
        maps = np.full((1, 28, 28), 0.3, dtype=np.float32)
        maps[:, 2:-2, 2:-2] = 0.9
        box = torch.tensor([[35.0, 35.0, 126.0, 126.0]])
        masks = BoxMasks(torch.from_numpy(maps), box, (SIDE, SIDE))
        one = Instances((SIDE, SIDE), box, torch.ones(1, dtype=torch.int64), masks, torch.tensor([0.9]))
        return [one] * len(images)


def drawn(folder: Path, segmentation: Callable[[], object], count: int = 3) -> CocoLikeDataset:
    """Photos of a blue disc on brown, all with the same annotation."""
    rng = np.random.default_rng(1)
    (folder / "images").mkdir(parents=True)
    for n in range(count):
        colours = np.where(disc(RADIUS)[..., None], (40, 60, 170), (150, 120, 90)) + rng.normal(0, 5, (SIDE, SIDE, 3))
        Image.fromarray(colours.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{n}.png")
    images = [{"id": n, "file_name": f"{n}.png", "width": SIDE, "height": SIDE} for n in range(count)]
    one = {"category_id": 1, "iscrowd": 0, "bbox": [35, 35, 91, 91], "area": 6000, "segmentation": segmentation()}
    annotations = [{"id": n + 1, "image_id": n} | one for n in range(count)]
    tree = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "Disc"}]}
    (folder / "annotations").mkdir()
    (folder / "annotations" / "val.json").write_text(json.dumps(tree))
    return CocoLikeDataset().load_data(folder, "val").prepare()


def square() -> object:
    """The network's own mask, which does not follow the photo."""
    network = CoarseDisc()
    network.eval()
    return encode(network.detect([torch.zeros(3, 1, 1)])[0].masks.pixels()[0].numpy())


def test_edges_move_where_labels_follow_the_photo(tmp_path: Path) -> None:
    network = CoarseDisc()
    choice = choose_edges(cast(Network, network), drawn(tmp_path, lambda: encode(disc(RADIUS))))
    assert network.training, "as it was before"
    assert choice.refine
    assert choice.network is not None and choice.refined is not None
    coarse = (disc(RADIUS) & np.asarray(_pixels(square()))).sum() / (disc(RADIUS) | np.asarray(_pixels(square()))).sum()
    right = sum(coarse >= least for least in np.arange(0.5, 0.951, 0.05)) / 10  # one object that each photo has
    assert choice.network == pytest.approx(right, abs=1e-6)
    assert choice.refined >= 0.9
    assert "move to the photo's: mask AP on 3 validation photos" in choice.sentence


def _pixels(rle: object) -> NDArray[np.bool_]:
    from clothseg.instances import decode

    return np.asarray(decode(rle), dtype=np.bool_)  # type: ignore[arg-type]


def test_edges_stay_where_labels_do_not_follow_the_photo(tmp_path: Path) -> None:
    choice = choose_edges(cast(Network, CoarseDisc()), drawn(tmp_path, square))
    assert choice.network == pytest.approx(1.0)
    assert not choice.refine
    assert "stay as the network draws them" in choice.sentence


def test_edges_stay_where_no_true_object_has_a_mask(tmp_path: Path) -> None:
    choice = choose_edges(cast(Network, CoarseDisc()), drawn(tmp_path, list))
    assert choice == EdgeChoice(None, None, 3)
    assert not choice.refine
    assert "no validation photo has a true mask" in choice.sentence


def test_a_photo_that_is_lost_counts_for_neither(tmp_path: Path) -> None:
    val = drawn(tmp_path, lambda: encode(disc(RADIUS)))
    (tmp_path / "images" / "1.png").unlink()
    assert choose_edges(cast(Network, CoarseDisc()), val).refine


def test_of_many_photos_some_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_choice, "MOST_PHOTOS", 2)
    val = drawn(tmp_path, lambda: encode(disc(RADIUS)), count=5)
    assert choose_edges(cast(Network, CoarseDisc()), val).photos == 2
    assert len(val.images) == 5


@pytest.mark.parametrize("gain", [0.1, 0.001])
def test_a_run_keeps_what_its_validation_photos_say(
    gain: float, small_photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, val = small_photos
    config = Config.load(
        "demo", [*SMALL, "train.epochs=1", "inference.refine_edges=auto", "inference.score_threshold=0"]
    )
    calls = []

    def choose(network: Network, photos: CocoLikeDataset) -> EdgeChoice:
        calls.append(choose_edges(network, photos))
        return EdgeChoice(0.2, 0.2 + gain, len(photos))

    monkeypatch.setattr(edge_choice, "choose_edges", choose)
    folder = RunFolder(tmp_path / "run")
    model = Model(config).build(train.classes).fit(train, val, folder.path, quiet=True)
    moves = gain > 0.01
    assert model.config.inference.refine_edges is moves
    assert read_network(folder.weights).config.inference.refine_edges is moves
    assert Config.load_saved(folder.config).inference.refine_edges == "auto", "what was asked for"
    sentence = folder.read_facts()["edges"]
    assert ("move to the photo's" in sentence) is moves
    assert sentence in folder.log.read_text()
    loaded = Model.load(folder.path)
    photo = val.load_image(0)
    assert isinstance(loaded.predict(photo).masks, RefinedMasks) is moves
    assert loaded.evaluate(val).overall == model.evaluate(val).overall
    # the network's own judgement is that of an evaluation
    for refine, value in ((False, calls[0].network), (True, calls[0].refined)):
        loaded.config = loaded.config.changed("inference", refine_edges=refine)
        assert loaded.evaluate(val).overall["mask_AP"] == pytest.approx(value)

    model.fit(train, val, folder.path, resume=True, quiet=True)
    assert len(calls) == 1, "these weights have their answer"
    longer = model.config.changed("train", epochs=2)
    more = Model(longer.changed("inference", refine_edges="auto")).build(train.classes)
    more.fit(train, val, folder.path, resume=True, quiet=True)
    assert len(calls) == 2, "other weights, another answer"
    assert more.config.inference.refine_edges is moves


def test_weights_without_an_answer_are_used_as_they_are(
    small_photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, val = small_photos
    model = Model(Config.load("demo", [*SMALL, "inference.refine_edges=auto"])).build(train.classes)
    file = tmp_path / "weights.safetensors"
    assert model.network is not None
    write_network(file, model.network.state_dict(), model.config, model.classes)
    assert not isinstance(Model.load(file).predict(val.load_image(0)).masks, RefinedMasks)
