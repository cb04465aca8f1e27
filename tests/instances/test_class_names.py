"""What a class may be called, by hand-worked cases."""

import pytest

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import ConfigError, DataError
from clothseg.instances.class_names import class_name_key, tidy_class_name, wrong_class_names
from clothseg.models import Model


def test_tidy() -> None:
    assert tidy_class_name("  long \t dress\n") == "long dress"
    assert class_name_key("STRASSE ") == class_name_key("straße")
    assert class_name_key("A\u0301") == class_name_key("\u00e1")
    assert class_name_key("T-shirt") != class_name_key("Tshirt")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["Suit", "Dress", "T-shirt", "Tshirt", "shirt, blouse", "background", "裙子", "👗"], ""),
        (["Suit", "Dress", "SUIT"], "'Suit' and 'SUIT'"),
        (["Suit", "Suit"], "two classes are called 'Suit'"),
        (["Suit", ""], "must not be empty"),
        (["Su\x1bit"], "control character"),
        (["a\ud800"], "control character"),
    ],
)
def test_names_of_a_network(names: list[str], words: str) -> None:
    found = wrong_class_names(names)
    assert words in found
    assert bool(found) == bool(words)
    data = CocoLikeDataset()
    for number, name in enumerate(names, 1):
        data.add_class("own", number, name)
    if not words:
        assert data.prepare().classes == names
        return
    with pytest.raises(DataError, match=words):
        data.prepare()
    with pytest.raises(ConfigError, match=words):
        Model(Config()).build(names)


def test_names_that_become_equal_when_they_are_cut() -> None:
    data = CocoLikeDataset()
    data.add_class("own", 1, "shirt, blouse")
    data.add_class("own", 2, "shirt, sweatshirt")
    assert data.prepare().classes == ["shirt, blouse", "shirt, sweatshirt"]
    with pytest.raises(DataError, match="two classes are called 'shirt'"):
        data.prepare(clean_name=True)
