"""Class names, and finding a class by what a user writes."""

from pathlib import Path
from typing import Any

import pytest

from clothseg import sample
from clothseg.errors import DataError
from clothseg.openimages import choose_classes, read_classes

SUIT = "/m/01xyhv"


def test_published_class_names_and_both_forms_of_the_file(tmp_path: Path, write_table: Any) -> None:
    published = sample.folder() / "class-descriptions-boxable.csv"
    classes = read_classes(published)
    assert len(classes) == published.read_bytes().count(b"\n") == 601
    assert not any(c.name != c.name.strip() for c in classes)
    v7 = write_table(tmp_path / "v7.csv", "LabelName,DisplayName", f"{SUIT},Suit")
    assert [c.name for c in read_classes(v7)] == ["Suit"]
    with pytest.raises(DataError, match=r"bad\.csv: row 2"):
        read_classes(write_table(tmp_path / "bad.csv", f"{SUIT},Suit", "Dress"))


def test_classes_keep_the_order_of_the_request() -> None:
    known = read_classes(sample.folder() / "class-descriptions-boxable.csv")
    found = choose_classes([" jeans", "/m/01xyhv", "Wine"], known)
    assert [(c.mid, c.name) for c in found] == [("/m/0fly7", "Jeans"), ("/m/01xyhv", "Suit"), ("/m/081qc", "Wine")]


def test_one_message_has_all_wrong_classes_with_similar_names() -> None:
    known = read_classes(sample.folder() / "class-descriptions-boxable.csv")
    with pytest.raises(DataError) as caught:
        choose_classes(["Suits", "Dres", "Suit", "suit", "glass", "Xyzzyq"], known)
    message = str(caught.value)
    for part in ("'Suits'; similar: Suit", "Dress", "'Suit' is requested twice", "Wine glass", "called 'Xyzzyq'"):
        assert part in message
    with pytest.raises(DataError, match="no class is requested"):
        choose_classes([], known)


@pytest.mark.parametrize(
    ("request_", "name"),
    [
        ("HIGH  heels", "High heels"),
        ("egg", "Egg (Food)"),
        ("Egg (Food)", "Egg (Food)"),
        ("Lifejacket", "Personal flotation device"),
        ("horn", "French horn"),
        ("Suit\r", "Suit"),
        ("Bat", "Bat (Animal)"),
    ],
)
def test_other_spellings_and_names_of_v4(request_: str, name: str) -> None:
    known = read_classes(sample.folder() / "class-descriptions-boxable.csv")
    assert [c.name for c in choose_classes([request_], known)] == [name]


def test_a_name_of_two_classes_needs_the_id(tmp_path: Path, write_table: Any) -> None:
    known = read_classes(write_table(tmp_path / "c.csv", "/m/01,Horn", "/m/02,Horn"))
    with pytest.raises(DataError, match=r"/m/01, /m/02; give the id"):
        choose_classes(["Horn"], known)
    assert choose_classes(["/m/02"], known)[0].mid == "/m/02"
