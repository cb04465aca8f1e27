"""Names in any script: each is drawn with other pixels than any other, and without the box of missing letters."""

import io
import itertools
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from clothseg.pictures import Twig, bar_chart, compare_curves, contact_sheet, draw_tree
from clothseg.pictures import lettering as lettering_module
from clothseg.pictures.labels import Label, draw_labels
from clothseg.pictures.lettering import Lettering, readable, runs

NAMES = {
    "Latin": ("Robe d'été", "Robe d'ete", "Sukně", "Elbise ğ", "Váy ửng"),
    "Greek": ("Φόρεμα", "Παλτό"),
    "Cyrillic": ("Юбка", "Шуба", "Сукня", "Көйлек"),
    "Hebrew": ("שמלה", "מעיל"),
    "Arabic": ("فستان", "جينز", "لباس زیر"),
    "Chinese": ("连衣裙", "牛仔裤", "洋裝", "外套"),
    "Japanese": ("ドレス", "ジーンズ", "着物"),
    "Korean": ("원피스", "청바지"),
    "emoji": ("👗", "👖", "🧥", "👟"),
}
ALL = [name for names in NAMES.values() for name in names]
SHIPPED = Path(lettering_module.__file__).with_name("fonts")


def drawn(text: str, size: float = 24) -> NDArray[np.uint8]:
    picture = Image.new("RGB", (320, 60), "white")
    Lettering(size).draw(picture, (160, 30), text, (0, 0, 0))
    return np.asarray(picture)


@pytest.mark.parametrize("script", NAMES)
def test_every_letter_comes_from_a_font_that_is_always_there(script: str) -> None:
    for name in NAMES[script]:
        for path, part in runs(name):
            assert path is None or path.parent == SHIPPED or path.name == "DejaVuSans.ttf"
            font = ImageFont.load_default(40) if path is None else ImageFont.truetype(str(path), 40)
            for letter in part.replace(" ", ""):
                boxes = [bytes(font.getmask(missing)) for missing in ("\U0010fffe", "\ufdd0")]
                assert bytes(font.getmask(letter)) not in boxes, f"{letter} of {name} in {path}"
        assert readable(name) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize("script", NAMES)
def test_the_space_between_two_words_is_empty(script: str) -> None:
    """Fonts for one script may lack the space; then they draw the box of missing letters for it."""
    word = NAMES[script][0]
    for text in (f"{word} {word}", f"{word} train 4.jpg", f"{word}  x", f" {word} "):
        for path, part in runs(text):
            font = ImageFont.load_default(40) if path is None else ImageFont.truetype(str(path), 40)
            assert " " not in part or not any(font.getmask(" ")), f"the space of {text!r} in {path}"
        assert readable(text) == unicodedata.normalize("NFC", text)


def test_no_two_names_look_the_same() -> None:
    pictures = {name: drawn(name) for name in ALL}
    assert all((picture < 128).sum() > 20 for picture in pictures.values())
    for one, other in itertools.combinations(ALL, 2):
        assert (pictures[one] != pictures[other]).any(), (one, other)


def test_letters_without_a_font_are_written_as_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lettering_module, "system_fonts", lambda: ())
    for cached in (lettering_module.runs, lettering_module.font_for):
        cached.cache_clear()
    try:
        assert readable("ชุด A") == "[U+0E0A][U+0E38][U+0E14] A"
        assert (drawn("ชุ") != drawn("ปุ")).any()
    finally:
        for cached in (lettering_module.runs, lettering_module.font_for):
            cached.cache_clear()


def test_fonts_of_the_system_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    other = tmp_path / "Noto.ttf"
    other.write_bytes((SHIPPED / "Hangul.ttf").read_bytes())
    monkeypatch.setattr(lettering_module, "SHIPPED_FONTS", ())
    monkeypatch.setattr(lettering_module, "system_fonts", lambda: (tmp_path / "broken.ttf", other))
    for cached in (lettering_module.runs, lettering_module.font_for):
        cached.cache_clear()
    try:
        assert runs("원") == ((other, "원"),)
    finally:
        for cached in (lettering_module.runs, lettering_module.font_for):
            cached.cache_clear()


def test_plain_text_is_drawn_as_pillow_draws_it() -> None:
    want = Image.new("RGB", (320, 60), "white")
    ImageDraw.Draw(want).text((160, 30), "Dress 0.93", font=ImageFont.load_default(24), fill=(0, 0, 0), anchor="mm")
    assert (drawn("Dress 0.93") == np.asarray(want)).all()
    assert Lettering(24).length("Dress 0.93") == ImageFont.load_default(24).getlength("Dress 0.93")


def test_invisible_letters_and_forms_of_accents_make_no_difference() -> None:
    assert (drawn("été") == drawn(unicodedata.normalize("NFD", "été"))).all()
    assert runs("👗\ufe0f") == runs("👗")
    assert runs("") == ((None, ""),)


def test_words_of_a_script_from_right_to_left_stay_together() -> None:
    assert len(runs("فستان أحمر")) == 1


@pytest.mark.parametrize("script", NAMES)
def test_chips_sheets_and_plots_show_the_names(script: str) -> None:
    one, other = NAMES[script][:2]

    def chip(name: str) -> bytes:
        picture = Image.new("RGB", (200, 100), "grey")
        assert draw_labels(picture, [Label((name,), (10, 40, 150, 90), (200, 30, 30))], 20)
        return picture.tobytes()

    photo = np.zeros((40, 60, 3), dtype=np.uint8)
    history = [{"epoch": n, "train_total": 1.0, "val_total": 1.0} for n in (1, 2)]
    kinds = {
        "chip": [chip(name) for name in (one, other)],
        "sheet": [contact_sheet([photo], captions=[name], width=300).tobytes() for name in (one, other)],
        "bars": [bar_chart({name: 3}, [name], title=name) for name in (one, other)],
        "tree": [draw_tree([Twig(name, False, False, ())], title=name) for name in (one, other)],
        "curves": [compare_curves({name: history}) for name in (one, other)],
    }
    assert {kind for kind, (first, second) in kinds.items() if first == second} == set()


@pytest.mark.filterwarnings("error:Glyph:UserWarning")
def test_matplotlib_lacks_no_letter() -> None:
    """It warns about letters that its fonts lack."""
    names = [*ALL, "ชุด", "$5", "$x^2$"]
    content = bar_chart(dict.fromkeys(names, 1), [names[3]], title=" ".join(names[:4]))
    assert Image.open(io.BytesIO(content)).size[0] > 100
