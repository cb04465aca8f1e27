"""`dataset show`: the content of the pictures, and which photos are selected."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clothseg.config import Config, InputSettings
from clothseg.dataset import CocoLikeDataset, load_example
from clothseg.dataset.augment.preview import preview_augmentation
from clothseg.dataset.show import show_dataset
from clothseg.dataset.show_input import preview_input
from clothseg.errors import ClothsegError, DataError
from clothseg.instances import Instances, PixelMasks
from clothseg.networks.input import InputTransform
from clothseg.networks.placement import InputConventions
from clothseg.pictures import draw_masks, draw_outlines

GREY = (128, 128, 128)


def write(folder: Path, photos: int = 4) -> Path:
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for n in range(photos):
        Image.new("RGB", (40, 60), GREY).save(folder / "images" / f"{n}.png")
    tree = {
        "images": [{"id": n + 1, "file_name": f"{n}.png", "height": 60, "width": 40} for n in range(photos)],
        "categories": [{"id": 5, "name": "Dress & co"}, {"id": 2, "name": "Suit"}],
        "annotations": [
            {
                "id": n + 1,
                "image_id": n + 1,
                "category_id": 2 if n % 2 else 5,
                "segmentation": [[10, 10, 30, 10, 30, 50, 10, 50]],
                "iscrowd": 0,
            }
            for n in range(photos - 1)
        ],
    }
    (folder / "annotations" / "train.json").write_text(json.dumps(tree))
    return folder


def one_object() -> Instances:
    masks = torch.zeros((1, 220, 220), dtype=torch.bool)
    masks[0, 50:150, 40:120] = True
    masks[0, 80:100, 60:80] = False
    return Instances((220, 220), torch.tensor([[20.0, 30, 180, 200]]), torch.tensor([1]), PixelMasks(masks))


def test_boxes_are_black_contours_white_and_the_rest_is_the_photo() -> None:
    photo = np.full((220, 220, 3), 128, np.uint8)
    drawn = draw_outlines(photo, one_object())
    assert (photo == 128).all()
    for y, x in ((30, 100), (199, 100), (100, 20), (100, 179)):
        assert drawn[y, x].max() < 60
    for y, x in ((50, 100), (149, 100), (120, 40), (120, 119), (79, 70), (100, 70)):
        assert drawn[y, x].min() > 190
    for y, x in ((10, 10), (40, 30), (130, 80), (90, 70), (210, 210)):
        assert drawn[y, x].tolist() == [128, 128, 128]


def test_masks_only_small_over_large_and_crowds_grey() -> None:
    masks = torch.zeros((3, 10, 10), dtype=torch.bool)
    masks[0, 4:6, 4:6] = True
    masks[1, 2:8, 2:8] = True
    masks[2, 0, 0] = True
    boxes = torch.tensor([[4.0, 4, 6, 6], [2, 2, 8, 8], [0, 0, 1, 1]])
    crowd = torch.tensor([False, False, True])
    drawn = draw_masks(Instances((10, 10), boxes, torch.tensor([1, 2, 1]), PixelMasks(masks), crowd=crowd))
    assert len({tuple(drawn[y, x].tolist()) for y, x in ((5, 5), (2, 2), (0, 0), (9, 9))}) == 4
    assert drawn[0, 0].tolist() == [128, 128, 128]
    assert drawn[9, 9].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("settings", "centred"),
    [
        (InputSettings(resize="fit", height=96, width=64), False),
        (InputSettings(min_side=50, max_side=70), False),
        (InputSettings(resize="square", min_side=64, max_side=128), True),
        (InputSettings(resize="square", min_side=64, max_side=192), False),
    ],
)
def test_previews_equal_the_networks_input(settings: InputSettings, centred: bool) -> None:
    conventions = InputConventions(centred=centred, size_divisor=1, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    transform = InputTransform(settings, conventions)
    generator = np.random.default_rng(0)
    photo = generator.integers(0, 256, (133, 87, 3), dtype=np.uint8)
    mask = torch.from_numpy(generator.random((133, 87)) > 0.5)
    truth = Instances((133, 87), torch.tensor([[0.0, 0, 87, 133]]), torch.tensor([1]), PixelMasks(mask[None]))
    tensor = torch.from_numpy(photo).permute(2, 0, 1).float() / 255
    batched, (window,) = transform.batch([tensor], torch.device("cpu"))
    batch, size = batched[0], window.size
    small, masks = preview_input(photo, draw_masks(truth), transform)
    inside = np.zeros(small.shape[:2], dtype=bool)
    inside[window.top : window.top + size[0], window.left : window.left + size[1]] = True
    assert small.shape == (*batch.shape[1:], 3)
    assert np.abs(small[inside].astype(float) - 255 * batch.permute(1, 2, 0).numpy()[inside]).max() <= 0.51
    assert (small[~inside] == 128).all()
    theirs = transform.target(truth, window).masks[0].numpy() > 0
    assert np.array_equal(masks[inside].any(axis=1).reshape(size), theirs)


def test_a_folder_of_pictures_with_an_index(tmp_path: Path) -> None:
    data = CocoLikeDataset().load_data(write(tmp_path / "d")).prepare()
    shown = show_dataset(data, tmp_path / "look", config=Config(), count=2)
    names = ["overlays.png", "resized.png", "class-1-suit.png", "class-2-dress-co.png"]
    assert [sheet.file for sheet in shown.sheets] == names
    assert sorted(p.name for p in (tmp_path / "look").iterdir()) == sorted([*names, "gallery", "index.html"])
    page = (tmp_path / "look" / "index.html").read_text()
    assert all(f'src="{name}"' in page for name in names)
    assert "Dress &amp; co" in page
    assert shown.unread == {}


def test_without_a_configuration_the_networks_input_is_not_shown(tmp_path: Path) -> None:
    data = CocoLikeDataset().load_data(write(tmp_path / "d")).prepare()
    shown = show_dataset(data, tmp_path / "look", count=2)
    assert [sheet.file for sheet in shown.sheets] == ["overlays.png", "class-1-suit.png", "class-2-dress-co.png"]


def test_outlines_are_where_the_masks_are(tmp_path: Path) -> None:
    """On a cell of known scale, the frame and the contour of a rectangle are at its edges, and nowhere else."""
    data = CocoLikeDataset().load_data(write(tmp_path / "d", photos=2)).prepare()
    show_dataset(data, tmp_path / "look", count=1)
    sheet = np.array(Image.open(tmp_path / "look" / "overlays.png").convert("RGB")).astype(int)
    grey = (sheet == 128).all(axis=2)
    rows, columns = (np.flatnonzero(grey.mean(axis=axis) > 0.2) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    scale = (bottom - top) / 60
    assert (right - left) / 40 == pytest.approx(scale, rel=0.01)
    changed = np.argwhere((np.abs(sheet[top:bottom, left:right] - 128) > 40).any(axis=2)) / scale
    assert changed.min(axis=0) == pytest.approx([10, 10], abs=0.5)
    assert changed.max(axis=0) == pytest.approx([50, 30], abs=0.5)
    inside = changed[(changed > [12, 12]).all(axis=1) & (changed < [48, 28]).all(axis=1)]
    assert len(inside) == 0


def test_the_seed_selects_photos_and_is_reproducible(tmp_path: Path) -> None:
    data = CocoLikeDataset().load_data(write(tmp_path / "d", photos=9)).prepare()
    chosen = []
    for number, seed in enumerate((1, 1, 2)):
        show_dataset(data, tmp_path / str(number), config=Config(), count=3, per_class=1, seed=seed)
        chosen.append((tmp_path / str(number) / "overlays.png").read_bytes())
    assert chosen[0] == chosen[1]
    assert chosen[0] != chosen[2]


def test_wrong_input_writes_nothing_and_unreadable_photos_are_listed(tmp_path: Path) -> None:
    data = CocoLikeDataset().load_data(write(tmp_path / "d")).prepare()
    with pytest.raises(DataError, match="no class 'Hat' in the dataset; it has Suit, Dress & co"):
        show_dataset(data, tmp_path / "look", config=Config(), classes=["Hat"])
    assert not (tmp_path / "look").exists()
    (tmp_path / "d" / "images" / "0.png").write_bytes(b"")
    shown = show_dataset(data, tmp_path / "look", config=Config())
    assert list(shown.unread) == ["0.png"]
    with pytest.raises(ClothsegError, match="exists already"):
        show_dataset(data, tmp_path / "look", config=Config())
    for photo in (tmp_path / "d" / "images").iterdir():
        photo.unlink()
    with pytest.raises(DataError, match="none of the photos can be read"):
        show_dataset(data, tmp_path / "none", config=Config())
    assert not (tmp_path / "none").exists()


def test_unreadable_photos_of_one_name_are_all_listed(tmp_path: Path) -> None:
    annotations = write(tmp_path / "d") / "annotations" / "train.json"
    tree = json.loads(annotations.read_text())
    for row, folder in zip(tree["images"], ("one", "two", "one", "two"), strict=True):
        path = tmp_path / "d" / "images" / folder / ("same.png" if row["id"] < 3 else f"{row['id']}.png")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"" if row["id"] < 3 else (tmp_path / "d" / "images" / "0.png").read_bytes())
        row["file_name"] = f"{folder}/{path.name}"
    annotations.write_text(json.dumps(tree))
    shown = show_dataset(CocoLikeDataset().load_data(tmp_path / "d").prepare(), tmp_path / "look")
    assert sorted(shown.unread) == ["one/same.png", "two/same.png"]


def test_few_pictures_make_a_small_sheet(tmp_path: Path) -> None:
    """All pictures on it have 150,000 pixels: a square one is 387 wide, and would only be blurred if it were wider."""
    data = CocoLikeDataset().load_data(write(tmp_path / "d", photos=7)).prepare()
    show_dataset(data, tmp_path / "look", per_class=1)
    show_dataset(data, tmp_path / "more")
    widths = [Image.open(tmp_path / out / "class-1-suit.png").width for out in ("look", "more")]
    assert 300 < widths[0] < 500
    assert 900 < widths[1] < 1500  # three
    assert Image.open(tmp_path / "look" / "overlays.png").width == 1600


def test_augmented_versions_are_those_of_the_loader(tmp_path: Path) -> None:
    data = CocoLikeDataset().load_data(write(tmp_path / "data", photos=3)).prepare()
    turned = ["augment.flip=0", "augment.rotate=30", "augment.fixed_views=0", "augment.scale=0", "augment.shift=0"]
    shown: list[str] = []
    for more in (
        turned,
        [*turned, "augment.rotate=0", "augment.brightness=0", "augment.saturation=0"],
        ["augment.fixed_views=3"],
    ):
        config = Config.load("demo", more)
        out = tmp_path / f"look{len(shown)}"
        sheets = show_dataset(data, out, config=config, augment=True, count=4).sheets
        assert "augmented.png" in [sheet.file for sheet in sheets]
        shown.append(next(sheet.note for sheet in sheets if sheet.file == "augmented.png"))
    assert "rotate 30" in shown[0] and "flip" not in shown[0]
    assert "no augmentation is switched on" in shown[1]
    config = Config.load("demo", turned)
    values = set()
    for version, (picture, _) in enumerate(
        preview_augmentation(data, 2, config)
    ):  # this photo has no objects, so nothing is drawn on it
        image, _ = load_example(data, 2, config.augment if version else None, version, config.train.seed)
        values.add(int(picture.mean()))
        assert np.array_equal(picture, image.permute(1, 2, 0))
    assert len(values) > 1  # brightness changes
    assert len(list(preview_augmentation(data, 0, config))) == 5
    assert len(list(preview_augmentation(data, 0, Config.load("demo", ["augment.fixed_views=3"])))) == 3


def test_the_gallery_has_all_photos_or_some_with_their_objects(tmp_path: Path) -> None:
    data = CocoLikeDataset().load_data(write(tmp_path / "d")).prepare()
    broken = data.images[2].path
    broken.write_bytes(b"")
    shown = show_dataset(data, tmp_path / "look", config=Config(), count=2)
    assert list(shown.unread) == [broken.name]
    page = (tmp_path / "look" / "index.html").read_text()
    found = json.loads(page.split('type="application/json">')[1].split("</script>")[0])
    assert [row[0] for row in found["entries"]] == [e.path.name for e in data.images if e.path != broken]
    assert [name for name, *_ in found["classes"]] == ["Suit", "Dress & co"]
    first, last = found["entries"][0], found["entries"][-1]
    assert [(kind, share) for kind, _, share, *_ in first[8]] == [(1, round(1e4 * 20 * 40 / 2400))]
    assert last[8] == []
    assert (tmp_path / "look" / first[4]).resolve() == data.images[0].path
    thumbnails = sorted(p.name for p in (tmp_path / "look" / "gallery").iterdir())
    assert thumbnails == sorted(Path(row[3]).name for row in found["entries"])

    show_dataset(data, tmp_path / "few", config=Config(), count=2, most=2)
    page = (tmp_path / "few" / "index.html").read_text()
    assert len(json.loads(page.split('type="application/json">')[1].split("</script>")[0])["entries"]) <= 2


def test_selected_at_random_is_said_only_of_some(tmp_path: Path) -> None:
    data = CocoLikeDataset().load_data(write(tmp_path / "data"), "train").prepare()
    some = show_dataset(data, tmp_path / "some", count=2, per_class=1).sheets
    assert [sheet.note.split(".")[0] for sheet in some] == [
        "2 of 3 photos with objects, selected at random",
        "1 instance",  # Suit has the lower id
        "1 of 2 instances, selected at random",
    ]
    every = show_dataset(data, tmp_path / "every").sheets
    assert [sheet.note.split(".")[0] for sheet in every] == [
        "All 3 photos with objects",
        "1 instance",
        "All 2 instances",
    ]
