"""Which photos a catalogue has, in which order: folders, patterns and lists on this machine."""

import itertools
import nturl2path
import os
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

import polars
import pytest

from clothseg.catalogue import Listed, open_catalogue
from clothseg.catalogue.names import local_path
from clothseg.catalogue.shards import Share, parse_share, shards_of
from clothseg.errors import ClothsegError

from .conftest import save_photo


def names(*inputs: object, **options: object) -> list[str]:
    return [photo.name for photo in open_catalogue([str(given) for given in inputs], **options)]  # type: ignore[arg-type]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.png", "a.jpg", "sub/c.png", "sub/deep/d.png", ".hidden/e.png", ".f.png", "raw.nef", "b.nef"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "notes.txt").write_text("sub/c.png")
    return tmp_path


@pytest.mark.parametrize(
    ("url", "posix", "windows"),
    [
        ("file:///home/anna/my%20photos/a.jpg", "/home/anna/my photos/a.jpg", r"\home\anna\my photos\a.jpg"),
        ("file:///C:/my%20photos/a.jpg", "/C:/my photos/a.jpg", r"C:\my photos\a.jpg"),
        ("FILE://localhost/d:/a.jpg", "/d:/a.jpg", r"D:\a.jpg"),
        ("my%20photos/a.jpg", "my%20photos/a.jpg", "my%20photos/a.jpg"),
        ("file.jpg", "file.jpg", "file.jpg"),
    ],
)
def test_file_urls_are_paths(url: str, posix: str, windows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.name == "posix":
        assert local_path(url) == posix
    monkeypatch.setattr("clothseg.catalogue.names.url2pathname", nturl2path.url2pathname)
    assert PureWindowsPath(local_path(url)) == PureWindowsPath(windows)


def test_folders_give_their_photos_sorted(tree: Path) -> None:
    assert names(tree) == [f"{tree}/{name}" for name in ("a.jpg", "b.png", "raw.nef")]
    deep = ("a.jpg", "b.png", "raw.nef", "sub/c.png", "sub/deep/d.png")
    assert names(tree, recursive=True) == [f"{tree}/{name}" for name in deep]
    assert names(f"file://{tree}/b.png", tree / "sub", f"{tree}/*.png") == [
        f"{tree}/{name}" for name in ("b.png", "sub/c.png", "b.png")
    ]


def test_names_in_a_list_are_relative_to_it_and_stay_as_they_are(tree: Path) -> None:
    (tree / "list.txt").write_text("\ufeffa.jpg\r\n\n  sub/c.png \nhttps://shop.example/x?id=1\n/abs/y.png\n")
    assert list(open_catalogue([str(tree / "list.txt")])) == [
        Listed("a.jpg", str(tree / "a.jpg")),
        Listed("sub/c.png", str(tree / "sub/c.png")),
        Listed("https://shop.example/x?id=1", "https://shop.example/x?id=1"),
        Listed("/abs/y.png", "/abs/y.png"),
    ]


TABLES = {
    "one column": ("id\nx.png\ny.png\n", None),
    "by name and value": ("sku,photo,url\n1,x.png,page\n2,y.png,page\n", None),
    "by value": ("sku;picture\n1;x.png\n2;y.png\n", None),
    "by name": ("sku,image_url\n1,x.png\n2,y.png\n", None),
    "chosen": ("front,back\na.png,x.png\nb.png,y.png\n", "back"),
    "quoted": ('sku,photo\n"1,5",x.png\n\n"2\n5",y.png\n', None),
}


@pytest.mark.parametrize("case", TABLES)
def test_the_column_of_a_csv_is_found(case: str, tmp_path: Path) -> None:
    text, column = TABLES[case]
    (tmp_path / "list.csv").write_text(text)
    assert names(tmp_path / "list.csv", photo_column=column) == ["x.png", "y.png"]


def test_a_row_without_a_photo_keeps_its_place(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("sku,photo\n1,x.png\n2,\n3\n4,y.png\n")
    assert names(tmp_path / "list.csv") == ["x.png", "", "", "y.png"]
    polars.DataFrame({"sku": [1, 2, 3], "photo": ["x.png", None, "y.png"]}).write_parquet(tmp_path / "list.parquet")
    assert names(tmp_path / "list.parquet") == ["x.png", "", "y.png"]


def test_names_that_parquet_keeps_as_categories(tmp_path: Path) -> None:
    """As pandas writes a column of type `category`."""
    photos = polars.Series("photo", ["b.png", "a.png", None, "b.png"], dtype=polars.Categorical)
    polars.DataFrame([photos]).write_parquet(tmp_path / "list.parquet")
    assert names(tmp_path / "list.parquet") == ["b.png", "a.png", "", "b.png"]


def test_parquet_gives_every_row_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clothseg.catalogue.lists._ROWS", 7)
    photos = [f"{number}.jpg" for number in range(50)]
    polars.DataFrame({"sku": range(50), "path": photos}).write_parquet(tmp_path / "list.parquet", row_group_size=9)
    assert names(tmp_path / "list.parquet") == photos


def empty_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def written(name: str, content: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(content, encoding="latin-1")
        return folder / name

    return write


def numbers(folder: Path) -> Path:
    polars.DataFrame({"photo": [1, 2]}).write_parquet(folder / "list.parquet")
    return folder / "list.parquet"


def deeper(folder: Path) -> Path:
    save_photo(folder / "top/sub/x.png", 1)
    return folder / "top"


WRONG: dict[str, tuple[Callable[[Path], Path], str]] = {
    "absent": (lambda folder: folder / "nowhere", "nowhere: no such photo, folder or list"),
    "empty folder": (empty_folder, "empty: no photos in this folder"),
    "subfolder": (deeper, "--recursive searches subfolders"),
    "no match": (lambda folder: folder / "*.png", "no photo has a name like this pattern"),
    "other file": (written("a.docx", ""), "neither a photo nor a list of photos"),
    "empty list": (written("list.txt", "\n\n"), "no photos in it"),
    "empty csv": (written("list.csv", ""), "the list is empty"),
    "only a header": (written("list.csv", "sku,photo\n"), "no photos in it"),
    "no header": (written("list.csv", "1,x.png\n2,y.png\n"), "the first line is a photo, not a header"),
    "two columns": (written("list.csv", "front,back\nx.png,y.png\n"), r"which column.*\(front, back\).*--photo-column"),
    "no column": (written("list.csv", "sku,name\n1,2\n"), r"which column has the photos \(sku, name\)"),
    "latin": (
        written("list.txt", "M\xfcller.png"),
        "cannot be read.*lists are text in UTF-8; save it in this encoding",
    ),
    "no parquet": (written("list.parquet", "photo\nx.png\n"), "list.parquet: cannot be read"),
    "numbers": (numbers, "'photo' is of type Int64, not text"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_inputs_are_refused_before_the_first_photo(case: str, tmp_path: Path) -> None:
    make, message = WRONG[case]
    place = make(tmp_path)
    with pytest.raises(ClothsegError, match=message):
        open_catalogue([str(place)])


def test_a_column_is_refused_where_no_list_has_columns(tree: Path) -> None:
    (tree / "list.csv").write_text("sku,photo\n1,a.jpg\n")
    for inputs in ([tree], [tree / "notes.txt", tree / "a.jpg"]):
        with pytest.raises(ClothsegError, match=r"--photo-column foto: none of the inputs has columns \(.csv, .parq"):
            names(*inputs, photo_column="foto")
    assert names(tree / "sub", tree / "list.csv", photo_column="photo") == [f"{tree}/sub/c.png", "a.jpg"]


def test_names_that_are_relative_to_another_folder_are_noticed(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    (tree / "lists").mkdir()
    for name, content in (("list.txt", "sub/c.png\n"), ("list.csv", "photo\nsub/c.png\n")):
        (tree / "lists" / name).write_text(content)
        with pytest.raises(ClothsegError) as caught:
            names(f"lists/{name}")
        assert str(caught.value) == (
            f"{Path('lists', name)}: names in a list are relative to its folder, and there is no "
            f"{Path('lists/sub/c.png')}, but there is sub/c.png; move the list, or write whole paths"
        )
    (tree / "lists/sub").mkdir()
    (tree / "lists/sub/c.png").touch()
    assert names("lists/list.txt") == ["sub/c.png"]
    (tree / "lists/list.txt").write_text("nowhere.png\na.jpg\n")
    assert names("lists/list.txt") == ["nowhere.png", "a.jpg"], "a photo that is missing everywhere is one photo"


def test_a_wrong_column_is_refused_with_a_near_one(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("sku,photo\n1,x.png\n")
    with pytest.raises(ClothsegError, match=r"no column 'foto'; did you mean photo\?"):
        names(tmp_path / "list.csv", photo_column="foto")


@pytest.mark.parametrize("count", [0, 1, 3, 4, 9])
def test_shards_are_consecutive_and_the_last_one_says_so(count: int) -> None:
    photos = [Listed(f"{number}", "") for number in range(count)]
    shards = list(shards_of(photos, 3))
    assert [photo.photo_id for shard in shards for photo in shard.photos] == list(range(1, count + 1))
    assert [len(shard.photos) for shard in shards] == [3] * (count // 3) + [count % 3] * bool(count % 3)
    assert [shard.is_last for shard in shards] == ([False] * (len(shards) - 1) + [True])[: len(shards)]
    for one, other in itertools.pairwise(shards):
        assert one.list_after == other.list_before != other.list_after
    ends = {shard.list_after for shard in shards_of([Listed("0", ""), Listed("12", "")], 9)}
    assert ends.isdisjoint(shard.list_after for shard in shards_of([Listed("01", ""), Listed("2", "")], 9))


def test_each_shard_belongs_to_one_job() -> None:
    assert [number for number in range(1, 100) if parse_share("3/40").has(number)] == [3, 43, 83]
    for jobs in (1, 2, 7):
        for number in range(1, 30):
            assert sum(Share(job, jobs).has(number) for job in range(1, jobs + 1)) == 1
    for text in ("0/40", "41/40", "3", "a/b", "-1/2", "1/0", "1.5/3"):
        with pytest.raises(ClothsegError, match=r"JOB/JOBS|of 40 jobs the first is 1/40"):
            parse_share(text)
