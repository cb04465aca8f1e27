"""The page in a real Chromium: drop, slider, classes, cut-outs, downloads, compositions, phone size, keyboard."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accessibility import faults
from PIL import Image
from pycocotools.coco import COCO

from .conftest import CLASSES, Client, Page, choose, files, opened, picture, rows

pytestmark = pytest.mark.browser
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DROP = """async ([name, base64]) => {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type: "image/jpeg" }));
  for (const type of ["dragenter", "dragover", "drop"])
    document.querySelector("#main").dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true }));
}"""


def slide(page: Page, slider: str, value: float) -> None:
    page.locator(slider).fill(str(value))


def download(page: Page, button: str) -> tuple[str, bytes]:
    with page.expect_download() as caught:
        page.click(button)
    return caught.value.suggested_filename, Path(caught.value.path()).read_bytes()


def test_a_dropped_photo_is_outlined(page: Page) -> None:
    import base64

    page.evaluate(DROP, ["anna.jpg", base64.b64encode(picture()).decode()])
    page.wait_for_selector(".pill", state="hidden")
    assert page.inner_text("#title") == "anna.jpg"
    assert rows(page) == ["Dress 90 %", "Suit 60 %"]
    assert page.locator("#stage .overlay g").count() == 2
    assert page.get_attribute("#stage img", "alt") == "anna.jpg: Dress 90 %, Suit 60 %"
    assert not page.is_visible("#welcome")
    assert "anna.jpg: 2 garments" in page.inner_text("#live")


def test_the_outline_lies_on_the_garment(page: Page) -> None:
    """Where the hand-made detector puts the left half, the page draws its red line."""
    choose(page, ("a.png", picture(size=(400, 400), form="PNG")))
    slide(page, "#opacity", 1)
    page.locator(".chips").evaluate("(node) => node.remove()")
    shot = np.asarray(opened(page.locator("#stage .canvas img").screenshot()).convert("RGB")).astype(int)
    height, width = shot.shape[:2]

    def colour(x: float, y: float) -> Any:
        return shot[round(y * height), round(x * width)]

    assert np.abs(colour(0.1, 0.9) - (214, 50, 20)).max() < 6  # a Dress
    assert np.abs(colour(0.8, 0.2) - (30, 105, 215)).max() < 6  # a Suit
    assert np.abs(colour(0.19, 0.56) - (214, 50, 20)).max() > 20  # its hole
    assert np.abs(colour(0.8, 0.8) - (214, 50, 20)).max() > 20  # nothing


def test_the_score_slider_and_the_classes_change_what_is_shown(page: Page) -> None:
    choose(page, ("a.jpg", picture()))
    slide(page, "#score", 0.1)
    assert rows(page) == ["Dress 90 %", "Suit 60 %", "Suit 20 %"]
    assert page.inner_text("#score-value") == "0.10"
    slide(page, "#score", 0.75)
    assert rows(page) == ["Dress 90 %"]
    assert page.locator("#stage .overlay g").count() == 1
    slide(page, "#score", 0.95)
    assert rows(page) == []
    assert "3 garments with a lower score" in page.inner_text("#garments-empty")
    slide(page, "#score", 0.3)
    page.get_by_role("checkbox", name="Dress").uncheck()
    assert rows(page) == ["Suit 60 %"]
    page.get_by_role("checkbox", name="Dress").check()
    assert rows(page) == ["Dress 90 %", "Suit 60 %"]
    slide(page, "#opacity", 0.8)
    assert page.get_attribute("#stage .shape >> nth=0", "fill-opacity") == "0.8"


def test_hovering_highlights(page: Page) -> None:
    choose(page, ("a.jpg", picture(size=(400, 400))))
    page.locator("#garments .row").first.hover()
    assert page.locator("#stage g.lit").get_attribute("data-id") == "0"
    box = page.locator("#stage .canvas").bounding_box()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.2 * box["height"])
    assert page.locator("#stage g.lit").get_attribute("data-id") == "1"
    assert page.locator("#garments .row.lit").get_attribute("data-id") == "1"
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.8 * box["height"])
    assert page.locator("#stage g.lit").count() == 0


def test_a_click_cuts_out_and_the_download_is_the_servers(page: Page, address: str) -> None:
    content = picture(size=(400, 400))
    choose(page, ("anna smith.jpg", content))
    box = page.locator("#stage .canvas").bounding_box()
    page.mouse.click(box["x"] + 0.1 * box["width"], box["y"] + 0.9 * box["height"])
    page.wait_for_selector("#cutout[open] img")
    assert page.inner_text("#cutout-title") == "Dress, 90 %"
    name, saved = download(page, "#cutout-save")
    assert name == "anna smith-1-Dress.png"
    with Client(base_url=address, trust_env=False) as client:
        assert saved == client.post("/cutout?instance=0", content=content).content
    with opened(saved) as png:
        assert png.mode == "RGBA"
    page.keyboard.press("Escape")
    assert not page.is_visible("#cutout")


def test_all_downloads(page: Page, tmp_path: Path) -> None:
    photos = [("a.jpg", picture(1)), ("a.jpg", picture(2)), ("größe/../c.jpg", picture(3))]
    choose(page, *photos)
    name, content = download(page, "#download-zip")
    assert name == "clothseg-cutouts.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None  # it compares the checksums
        names = archive.namelist()
        assert len(names) == len({n.lower() for n in names}) == 6
        assert {"a-1-Dress.png", "a-1-Dress-2.png"} <= set(names)
        assert not any("/" in n or n.startswith(".") for n in names)
        assert all(Image.open(archive.open(n)).mode == "RGBA" for n in names)
    name, content = download(page, "#download-coco")
    (tmp_path / name).write_bytes(content)
    coco = COCO(str(tmp_path / name))
    assert [image["file_name"] for image in coco.dataset["images"]][:2] == ["a.jpg", "a.jpg"]
    assert [c["name"] for c in coco.dataset["categories"]] == CLASSES
    assert len(coco.anns) == 6
    assert all(coco.annToMask(row).sum() == row["area"] for row in coco.dataset["annotations"])
    page.select_option("#label-format", "coco")
    name, content = download(page, "#download-labels")
    assert name == "labels-coco.json"
    assert isinstance(json.loads(content)["annotations"][0]["segmentation"], list)
    page.select_option("#label-format", "label-studio")
    name, content = download(page, "#download-labels")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert len(json.loads(archive.read("labels-label-studio.json"))) == 3
        assert b"<BrushLabels" in archive.read("labels-label-studio.xml")


def test_what_is_hidden_is_not_downloaded(page: Page) -> None:
    choose(page, ("a.jpg", picture(1)), ("b.jpg", picture(2)))
    page.get_by_role("checkbox", name="Suit").uncheck()
    page.locator(".card").first.click()
    assert "1 shown garment on 1 photo" in page.inner_text("#download-note")
    page.get_by_role("radio", name="All photos").check()
    assert "2 shown garments on 2 photos" in page.inner_text("#download-note")
    _, content = download(page, "#download-zip")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["a-1-Dress.png", "b-1-Dress.png"]


def test_a_garment_on_another_photo(page: Page) -> None:
    choose(page, ("a.jpg", picture(1, (400, 400))))
    page.locator("#garments .row").first.click()
    page.click("#cutout-compose")
    street = picture(2, (300, 200))
    page.set_input_files("#background", files(("street.jpg", street)))
    page.wait_for_selector("#board .settled")
    piece = page.locator("#board .piece")
    before = piece.bounding_box()
    piece.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("+")
    after = piece.bounding_box()
    assert after["width"] > before["width"]
    assert after["x"] + after["width"] / 2 > before["x"] + before["width"] / 2 + 1
    page.wait_for_selector("#board .settled")
    page.mouse.move(after["x"] + 10, after["y"] + 10)
    page.mouse.down()
    page.mouse.move(after["x"] - 40, after["y"] + 10, steps=3)
    page.mouse.up()
    assert piece.bounding_box()["x"] == pytest.approx(after["x"] - 50, abs=2)
    page.wait_for_selector("#board .settled")
    name, content = download(page, "#compose-save")
    assert name == "street-Dress.jpg"
    with opened(content) as worn, opened(street) as plain:
        assert worn.size == plain.size == (300, 200)
        assert np.abs(np.asarray(worn).astype(int) - np.asarray(plain)).max() > 50


def test_bad_photos_are_explained_and_the_others_done(browser: Any, address: str) -> None:
    """The browser itself reports each refused request on the console, so that is not compared here."""
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    choose(page, ("a.jpg", picture(1)), ("bad.jpg", b"no photo"), ("cut.jpg", picture(2)[:700]), ("b.jpg", picture(3)))
    cards = page.locator(".card .state").all_inner_texts()
    assert [text.strip() for text in (cards[0], cards[3])] == ["2 garments"] * 2
    assert "Not a picture" in cards[1]
    assert "truncated" in cards[2]
    assert faults(page) == []
    page.get_by_role("button", name="Remove bad.jpg").click()
    assert page.locator(".card").count() == 3
    page.close()


def test_a_format_that_chromium_cannot_show(page: Page) -> None:
    choose(page, ("old.tif", picture(1, (120, 80), form="TIFF")))
    assert rows(page) == ["Dress 90 %", "Suit 60 %"]
    assert page.locator("#stage img").evaluate("(image) => [image.naturalWidth, image.naturalHeight]") == [120, 80]


def test_names_are_never_markup(page: Page) -> None:
    name = '<img src=x onerror=document.title=1> & "b".jpg'
    choose(page, (name, picture(1)), ("b.jpg", picture(2)))
    assert page.locator(".card .title").first.inner_text() == name
    page.locator(".card").first.click()
    assert page.inner_text("#title") == name
    assert page.title() == f"{name}: clothseg"
    assert page.locator("img[src=x]").count() == 0


def test_zoom(page: Page) -> None:
    choose(page, ("a.jpg", picture(size=(400, 400))))
    canvas = page.locator("#stage .canvas")
    fitted = canvas.bounding_box()["width"]
    page.click("#zoom-in")
    page.click("#zoom-in")
    assert canvas.bounding_box()["width"] == pytest.approx(fitted * 1.96, rel=0.01)
    page.focus("#stage")
    before = canvas.bounding_box()["x"]
    page.keyboard.press("ArrowRight")
    assert canvas.bounding_box()["x"] == pytest.approx(before - 60, abs=1)
    page.keyboard.press("0")
    assert canvas.bounding_box()["width"] == pytest.approx(fitted, rel=0.01)


def test_the_keyboard_alone_is_enough(page: Page) -> None:
    choosers: list[Any] = []

    def remember(chooser: Any) -> None:
        choosers.append(chooser)

    page.on("filechooser", remember)  # early: an Enter that comes first would open a dialog of the system
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    tab_to(page, "#choose")
    page.keyboard.press("Enter")
    for _ in range(100):
        if not choosers:
            page.wait_for_timeout(100)
    choosers[0].set_files(files(("a.jpg", picture(1)), ("b.jpg", picture(2))))
    page.wait_for_selector("#progress", state="hidden")
    page.wait_for_selector(".card .spinner", state="hidden")
    tab_to(page, ".card")
    page.keyboard.press("Enter")
    assert page.inner_text("#title") == "a.jpg"
    assert page.evaluate("document.activeElement.id") == "stage"
    tab_to(page, "#score")
    page.keyboard.press("Home")
    assert len(rows(page)) == 3
    tab_to(page, "input[type=checkbox]")
    page.keyboard.press("Space")
    assert rows(page) == ["Dress 90 %"]
    tab_to(page, "#garments .row")
    assert page.locator("#stage g.lit").get_attribute("data-id") == "0"
    page.keyboard.press("Enter")
    page.wait_for_selector("#cutout[open] img")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.closest('#garments') !== null")
    page.keyboard.press("Shift+Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus is visible"


def test_keys_on_the_photo_are_those_of_the_gallery_of_predict(page: Page) -> None:
    page.set_input_files("#choose", files(("a.jpg", picture(1)), ("b.jpg", picture(2))))
    page.wait_for_selector("#progress", state="hidden")
    page.locator(".card").first.press("Enter")
    shown = []
    for key in ("ArrowRight", "ArrowLeft", "PageDown", "+", "ArrowLeft", "0", "ArrowLeft", "Escape"):
        assert page.evaluate("document.activeElement.id") == "stage", key
        page.keyboard.press(key)
        shown.append(page.inner_text("#title"))
    assert shown == ["b.jpg", "a.jpg", "b.jpg", "b.jpg", "b.jpg", "b.jpg", "a.jpg", "2 photos"]
    assert page.evaluate("document.activeElement.className") == "card"


def tab_to(page: Page, selector: str) -> None:
    """Presses Tab until an element has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"Tab does not reach {selector}")


@pytest.mark.parametrize("page", [PHONE], indirect=True, ids=["phone"])
def test_on_a_phone(page: Page) -> None:
    def fits() -> bool:
        return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))

    assert fits()
    assert page.is_visible(".camera")
    assert page.get_attribute("#camera", "capture") == "environment"
    choose(page, ("a-very-long-name-" * 8 + ".jpg", picture(1, (300, 400))))
    assert fits()
    box = page.locator("#stage .canvas").bounding_box()
    spot = box["x"] + 0.1 * box["width"], box["y"] + 0.9 * box["height"]
    page.touchscreen.tap(*spot)
    assert page.locator("#stage g.lit").get_attribute("data-id") == "0"
    assert not page.is_visible("#cutout")
    page.touchscreen.tap(*spot)
    page.wait_for_selector("#cutout[open] img")
    assert fits()
    page.click("#cutout-compose")
    assert fits()
    page.keyboard.press("Escape")
    choose(page, *[(f"{n}.jpg", picture(n)) for n in range(3)])
    assert fits()
    small = page.locator("button:visible, .button:visible, label.row:visible").evaluate_all(
        "(nodes) => nodes.map((n) => n.getBoundingClientRect()).filter((b) => b.height < 36 || b.width < 36).length"
    )
    assert small == 0, "fingers need room"


@pytest.mark.parametrize("page", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True, ids=str)
def test_everybody_can_use_the_page(page: Page, address: str) -> None:
    """Contrast of 4.5 to 1 (WCAG 2.2, 1.4.3), headings and names: in each state, and on the page of the API."""
    assert faults(page) == []
    choose(page, ("a.jpg", picture(1)), ("b.jpg", picture(2)))
    assert faults(page) == []
    page.locator(".card").first.click()
    page.wait_for_selector("#garments .row")
    assert faults(page) == []
    page.locator("#garments .row").first.click()
    page.wait_for_selector("#cutout[open] img")
    assert faults(page) == []
    page.click("#cutout-compose")
    page.set_input_files("#background", files(("street.jpg", picture(2, (300, 200)))))
    page.wait_for_selector("#board .settled")
    assert faults(page) == []
    page.goto(f"{address}/api")
    assert faults(page) == []
