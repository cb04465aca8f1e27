"""The answers of the interface, held against the package's own functions, its command line and its types."""

import io
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

from clothseg import sample
from clothseg.config import Config
from clothseg.garments import Placement, compose_files, write_cutouts
from clothseg.models import MaskRCNN, Model
from clothseg.photos import read_photo
from clothseg.prediction import detect_batch
from clothseg.serve import Access, Engine, Limits, create_app
from clothseg.serve.api_types import ModelInfo, Prediction

from .conftest import CLASSES, Client, find, opened, picture, served

TINY = [
    "weights=random",
    "input.height=96",
    "input.width=64",
    "network.fpn.channels=32",
    "network.box_head.fc_dim=64",
    "network.mask_head.channels=32",
    "inference.max_detections=3",
    "inference.score_threshold=0",
    "inference.mask_threshold=0.2",
]
"""An untrained network that finds some instances on every photo."""


@pytest.fixture(scope="module")
def model() -> Model:
    return MaskRCNN(Config.load("demo", TINY)).build(CLASSES)


@pytest.fixture(scope="module")
def network(model: Model) -> Iterator[Client]:
    """A client of a server with a real network."""
    engine = Engine(partial(detect_batch, model), model.classes, Limits())
    with (
        served(create_app(engine, Access())) as address,
        Client(base_url=address, timeout=120, trust_env=False) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def photo() -> Path:
    return min((sample.folder() / "validation").glob("*.jpg"))


def test_predictions_are_those_of_the_model(network: Client, model: Model, photo: Path) -> None:
    answer = network.post("/predict", content=photo.read_bytes())
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    height, width = read_photo(photo).shape[:2]
    assert (found["height"], found["width"]) == (height, width)
    expected: list[Any] = [row for row in model.predict(photo).to_coco() if coco_mask.area(row["segmentation"])]
    assert expected
    # The server computes in a thread of its own, with another number of cores: the last digits may differ.
    assert len(found["instances"]) == len(expected)
    for one, row in zip(found["instances"], expected, strict=True):
        assert one["bbox"] == pytest.approx(row["bbox"], abs=0.01)
        assert one["score"] == pytest.approx(row["score"], abs=1e-5)
        assert coco_mask.iou([one["segmentation"]], [row["segmentation"]], [0])[0, 0] > 0.99
    assert [one["class"] for one in found["instances"]] == [CLASSES[row["category_id"] - 1] for row in expected]
    assert [one["area"] for one in found["instances"]] == [
        coco_mask.area(one["segmentation"]) for one in found["instances"]
    ]


@pytest.mark.parametrize(
    "send",
    [
        lambda client, content: client.post("/predict", files={"photo": ("a.png", content, "image/png")}),
        lambda client, content: client.post("/predict", content=content, headers={"Content-Type": "image/png"}),
        lambda client, content: client.post(
            "/predict", content=content, headers={"Content-Type": "application/x-www-form-urlencoded"}
        ),
    ],
    ids=["form", "raw", "curl"],
)
def test_every_way_to_send_a_photo_gives_the_same(client: Client, send: Callable[[Client, bytes], Any]) -> None:
    content = picture(form="PNG")
    assert send(client, content).json() == client.post("/predict", content=content).json()


def test_answers_have_the_described_types(client: Client) -> None:
    found = Prediction.model_validate_json(client.post("/predict", content=picture()).content)
    assert [one.id for one in found.instances] == [0, 1, 2]
    assert [one.class_name for one in found.instances] == ["Dress", "Suit", "Suit"]
    info = ModelInfo.model_validate_json(client.get("/model").content)
    assert [one.name for one in info.classes] == CLASSES
    assert info.classes[0].colour == "#1e69d7"
    assert info.name == "first"


def test_the_score_threshold_leaves_the_numbers_as_they_are(client: Client) -> None:
    found = client.post("/predict", params={"score_threshold": 0.5}, content=picture()).json()
    assert [(one["id"], round(one["score"], 3)) for one in found["instances"]] == [(0, 0.9), (1, 0.6)]


def test_a_photo_without_garments(client: Client) -> None:
    white = io.BytesIO()
    Image.new("RGB", (30, 20), "white").save(white, "PNG")
    assert client.post("/predict", content=white.getvalue()).json() == {"width": 30, "height": 20, "instances": []}
    assert client.post("/cutout?instance=0", content=white.getvalue()).status_code == 404


def test_outlines_draw_the_masks(client: Client) -> None:
    """Drawn by Pillow with the even-odd rule, as the page's SVG has it."""
    found = client.post("/predict", content=picture(size=(320, 400))).json()
    for one in found["instances"]:
        drawn = np.zeros((400, 320), dtype=bool)
        for ring in one["outlines"]:
            layer = Image.new("1", (320, 400))
            ImageDraw.Draw(layer).polygon([(x - 0.5, y - 0.5) for x, y in zip(*[iter(ring)] * 2, strict=True)], fill=1)
            drawn ^= np.asarray(layer)
        mask = coco_mask.decode(one["segmentation"]).astype(bool)
        assert (drawn & mask).sum() / (drawn | mask).sum() > 0.97
    assert len(found["instances"][0]["outlines"]) == 2  # it has a hole


def test_photos_are_upright(client: Client) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = picture(size=(128, 64), exif=exif)
    found = client.post("/predict", content=content).json()
    assert (found["width"], found["height"]) == (64, 128)
    with opened(client.post("/preview", content=content).content) as small:
        assert (small.format, small.size) == ("JPEG", (64, 128))


def test_a_preview_is_small(client: Client) -> None:
    with opened(client.post("/preview", content=picture(size=(2400, 1600), form="TIFF")).content) as small:
        assert small.size[0] * small.size[1] == pytest.approx(2_000_000, rel=0.01)
        assert small.size[0] / small.size[1] == pytest.approx(1.5, abs=0.01)


@pytest.mark.parametrize("full_frame", [False, True])
def test_cut_outs_are_those_of_the_command(
    network: Client, model: Model, photo: Path, tmp_path: Path, full_frame: bool
) -> None:
    done = write_cutouts(model.predict, model.classes, [photo], tmp_path / "cut", full_frame=full_frame)
    rows = json.loads((tmp_path / "cut" / "cutouts.json").read_text())["cutouts"]
    assert done.garments == len(rows) > 0
    for row in rows:
        number = int(row["file_name"].split("-")[-2]) - 1
        query = {"instance": number, "full_frame": full_frame}
        answer = network.post("/cutout", params=query, content=photo.read_bytes())
        assert answer.headers["content-type"] == "image/png"
        assert answer.content == (tmp_path / "cut" / row["file_name"]).read_bytes()


def test_a_cut_out_needs_the_network_once(model: Model, photo: Path) -> None:
    calls = []

    def counting(photos: Any) -> Any:
        calls.append(len(photos))
        return detect_batch(model, photos)

    engine = Engine(counting, CLASSES, Limits())
    engine.predict(photo.read_bytes())
    first = engine.cutout(photo.read_bytes(), 0)
    assert len(calls) == 1
    forgetful = Engine(counting, CLASSES, Limits(cache_bytes=0))
    assert forgetful.cutout(photo.read_bytes(), 0) == first
    assert forgetful.cutout(photo.read_bytes(), 0) == first
    assert len(calls) == 3


def test_kept_detections_stay_within_their_budget() -> None:
    engine = Engine(find, CLASSES, Limits(cache_bytes=100_000))
    sizes = []
    for seed in range(8):
        engine.predict(picture(seed))  # three masks of 96 x 128 bytes each
        sizes.append(engine.cache.used_bytes)
    one = sizes[0]
    assert 36_864 < one < 50_000
    assert sizes == [one, *[2 * one] * 7], "a third one would be over the budget"
    assert len(engine.cache) == 2
    assert engine.cache.get(engine.cache.key(picture(7))) is not None
    assert engine.cache.get(engine.cache.key(picture(0))) is None


@pytest.mark.parametrize("match_light", [True, False])
def test_compositions_are_those_of_the_command(client: Client, tmp_path: Path, match_light: bool) -> None:
    (tmp_path / "garment.png").write_bytes(client.post("/cutout?instance=0", content=picture(1)).content)
    (tmp_path / "street.png").write_bytes(picture(2, size=(200, 160), form="PNG"))
    with Image.open(tmp_path / "garment.png") as garment:
        wide, high = garment.size
    width, x, y = 60, 90, 70
    height = width * high / wide
    box = f"{x - width / 2},{y - height / 2},{x + width / 2},{y + height / 2}"
    compose_files(
        tmp_path / "garment.png",
        tmp_path / "street.png",
        tmp_path / "worn.png",
        Placement(box=box),
        match_light=match_light,
    )
    query: dict[str, float | str] = {
        "x": x / 200,
        "y": y / 160,
        "width": width / 200,
        "match_light": match_light,
        "format": "png",
    }
    files = {"cutout": (tmp_path / "garment.png").read_bytes(), "background": (tmp_path / "street.png").read_bytes()}
    answer = client.post("/compose", params=query, files=files)
    assert answer.headers["content-type"] == "image/png"
    with opened(answer.content) as got, Image.open(tmp_path / "worn.png") as expected:
        assert np.array_equal(np.asarray(got), np.asarray(expected))
    with opened(client.post("/compose", files=files).content) as jpeg:
        assert (jpeg.format, jpeg.size) == ("JPEG", (200, 160))


def test_a_composition_needs_two_pictures(client: Client) -> None:
    garment, street = client.post("/cutout?instance=0", content=picture(1)).content, picture(2)
    for files, word in (
        ({"cutout": garment}, "background"),
        ({"background": street}, "cutout"),
        ({"cutout": street, "background": street}, "no transparency"),
        ({"cutout": garment, "background": b"x"}, "background"),
        ({"cutout": garment[:500], "background": street}, "cut-out"),
    ):
        answer = client.post("/compose", files=files)
        assert answer.status_code == 400
        assert word in answer.json()["error"]
    both = {"cutout": garment, "background": street}
    assert "outside the photo" in client.post("/compose?x=2&width=0.1", files=both).json()["error"]


def test_a_garment_larger_than_the_limit_is_refused() -> None:
    engine = Engine(find, CLASSES, Limits(photo_pixels=20_000))
    garment = engine.cutout(picture(1), 0)
    with pytest.raises(Exception, match="choose a smaller width"):
        engine.compose(garment, picture(2), x=0.5, y=0.5, width=4, match_light=True, form="PNG")
