"""Which photos without labels are taken, and which are left out and why."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.unlabelled import UnlabelledPhotos, find_unlabelled, read_unlabelled, relabel, with_unlabelled
from clothseg.errors import PhotoError, RunError

RNG = np.random.default_rng(3)


def picture(size: tuple[int, int] = (120, 80)) -> Image.Image:
    """A photo of large random patches, which survives resizing and JPEG."""
    patches = RNG.integers(0, 256, (9, 8, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((size[1], size[0]), Image.Resampling.BICUBIC)


def split(folder: Path, names: list[str]) -> CocoLikeDataset:
    folder.mkdir()
    made = CocoLikeDataset()
    made.add_class("coco", 1, "Suit")
    for number, name in enumerate(names, start=1):
        picture().save(folder / name)
        made.add_image(number, folder / name, 120, 80, [])
    return made.prepare()


@pytest.fixture
def train(tmp_path: Path) -> CocoLikeDataset:
    return split(tmp_path / "train", ["a.png", "b.png"])


@pytest.fixture
def val(tmp_path: Path) -> CocoLikeDataset:
    return split(tmp_path / "val", ["c.png"])


def test_photos_of_all_subfolders_with_their_upright_sizes(
    train: CocoLikeDataset, val: CocoLikeDataset, tmp_path: Path
) -> None:
    deep = tmp_path / "free" / "mañana x" / "more"
    deep.mkdir(parents=True)
    picture((90, 60)).save(deep / "one.jpg")
    turned = Image.Exif()
    turned[0x0112] = 6
    picture((50, 70)).save(tmp_path / "free" / "turned.jpg", exif=turned)
    found = find_unlabelled([tmp_path / "free"], train, val)
    assert sorted((path.name, *size) for path, *size in found.photos) == [("one.jpg", 90, 60), ("turned.jpg", 70, 50)]
    assert found.unread == found.known == ()


def test_copies_of_labelled_photos_are_left_out(train: CocoLikeDataset, val: CocoLikeDataset, tmp_path: Path) -> None:
    free = tmp_path / "free"
    free.mkdir()
    with Image.open(val.images[0].path) as original:
        original.resize((160, 240), Image.Resampling.BICUBIC).save(free / "resized.jpg", quality=80)
    with Image.open(train.images[1].path) as original:
        original.save(free / "same.png")
    picture().save(free / "new.png")
    found = find_unlabelled([free], train, val)
    assert [path.name for path, _, _ in found.photos] == ["new.png"]
    [first, second] = sorted(found.known)
    assert "resized.jpg: a copy of the val photo" in first and first.endswith("c.png")
    assert "same.png: a copy of the train photo" in second and second.endswith("b.png")


def test_broken_photos_are_named_and_the_others_taken(
    train: CocoLikeDataset, val: CocoLikeDataset, tmp_path: Path
) -> None:
    free = tmp_path / "free"
    free.mkdir()
    picture().save(free / "good.png")
    picture().save(free / "cut.jpg")
    (free / "cut.jpg").write_bytes((free / "cut.jpg").read_bytes()[:400])
    (free / "empty.jpg").write_bytes(b"")
    found = find_unlabelled([free], train, val)
    assert [path.name for path, _, _ in found.photos] == ["good.png"]
    assert sorted(Path(message.split(":")[0]).name for message in found.unread) == ["cut.jpg", "empty.jpg"]


def test_nothing_left_is_an_error_with_the_first_reason(
    train: CocoLikeDataset, val: CocoLikeDataset, tmp_path: Path
) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    with pytest.raises(PhotoError, match=r"none of 1 photos without labels can be used.*bad\.jpg"):
        find_unlabelled([tmp_path / "bad.jpg"], train, val)
    with pytest.raises(PhotoError, match=r"none of 2 .*a copy of the train photo"):
        find_unlabelled([tmp_path / "train"], train, val)


def test_a_run_remembers_them(tmp_path: Path) -> None:
    picture().save(tmp_path / "mañana.png")
    photos = UnlabelledPhotos(((tmp_path / "mañana.png", 120, 80),), ("x: empty",), ("y: a copy",))
    photos.write(tmp_path / "unlabelled.json")
    assert read_unlabelled(tmp_path / "unlabelled.json") == photos
    assert read_unlabelled(tmp_path / "none.json") is None


@pytest.mark.parametrize("text", ["", "[]", '{"photos": [{}]}', '{"photos": [], "unread": 3, "known": []}'])
def test_a_damaged_memory_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "unlabelled.json").write_text(text)
    with pytest.raises(RunError, match=r"unlabelled\.json"):
        read_unlabelled(tmp_path / "unlabelled.json")


def test_a_dataset_with_them_keeps_its_own_photos(train: CocoLikeDataset) -> None:
    more = with_unlabelled(train, [(Path("x.png"), 9, 8), (Path("y.png"), 7, 6)])
    assert (len(train), train.labelled, len(more), more.labelled) == (2, 2, 4, 2)
    assert len({entry.id for entry in more.images}) == 4
    rows = [[{"image_id": 3, "category_id": 1}], []]
    relabel(more, rows)  # type: ignore[arg-type]
    assert [len(entry.annotations) for entry in more.images] == [0, 0, 1, 0]
    assert len(train) == 2 and more.only({3, 4}).labelled == 0 and more.only({1, 3}).labelled == 1
