"""The gallery in a real Chromium, opened as a file: filters, sliders, large view, keys, and ten thousand entries."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accessibility import faults
from browser import chromium
from PIL import Image

from clothseg.gallery import Entry, GalleryClass, GalleryInfo, GalleryObject, Link, write_gallery, write_thumbnail
from clothseg.gallery.data import entry_row
from clothseg.gallery.entries import address

pytestmark = pytest.mark.browser
SCREEN = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
EVIL = "<img src=x onerror=console.error(1)>\"'&漢字 שלום.jpg"
Page = Any
"""A page of playwright, which need not be installed."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(params=[SCREEN], ids=["screen"])
def page(browser: Any, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Page]:
    """An empty page. Lines on its console fail the test, and so does a request for anything but a file that exists."""
    context = browser.new_context(**request.param)
    context.set_default_timeout(60_000)
    problems: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else problems.append(r.url))
    page.on("requestfailed", lambda r: problems.append(f"failed: {r.url}"))
    yield page
    context.close()
    assert problems == []


def square(left: float, top: float, side: float) -> np.ndarray:
    return np.array([[left, top], [left + side, top], [left + side, top + side], [left, top + side]])


def make(folder: Path, names: list[str], *, thumbnails: int | None = None) -> Path:
    """A gallery of photos 400 x 300.

    Photo n has a Suit (0.9, a quarter of the photo wide) and, if n is odd, a Dress (0.3 + n/100, small); every fifth
    has nothing. `thumbnails`: so many files, which the entries share.
    """
    (folder / "photos").mkdir(parents=True)
    files = thumbnails or len(names)
    for number in range(files):
        picture = np.full((300, 400, 3), 40 + 25 * (number % 8), np.uint8)
        write_thumbnail(picture, folder / "gallery" / f"{number:04d}-t.jpg")
        Image.fromarray(picture).save(folder / "photos" / f"{number}.png")
    rows = []
    for number, name in enumerate(names):
        suit = GalleryObject(1, 0.9, 0.2, (100, 75, 150, 150), [square(100, 75, 150)])
        dress = GalleryObject(2, 0.3 + number / 100, 0.01, (300, 200, 40, 40), [square(300, 200, 40)])
        objects = [] if number % 5 == 0 else [suit, dress] if number % 2 else [suit]
        rows.append(
            entry_row(
                Entry(
                    name,
                    400,
                    300,
                    objects,
                    thumbnail=f"gallery/{number % files:04d}-t.jpg",
                    photo=address(folder / "photos" / f"{number % files}.png", folder),
                    links=[Link("Drawn", f"{number}.png")],
                    text=f"image_id {number}",
                )
            )
        )
    classes = [GalleryClass("Suit", "#1e69d7", 0.5), GalleryClass("Dress </b>", "#d63214", 0.32)]
    title = f"{len(names)} photos of “<b>”"
    write_gallery(folder, GalleryInfo("clothseg predict", title, classes, lowest_score=0.1), rows)
    return folder / "index.html"


def names(page: Page) -> list[str]:
    """Of the cards in the page, in its order."""
    return [str(text) for text in page.locator("#cards .title").all_text_contents()]


def opened(page: Page, path: Path) -> None:
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready=yes]")


NAMES = [f"photo {n}.jpg" for n in range(11)] + [EVIL]


def test_the_filters_choose_photos_and_objects(page: Page, tmp_path: Path) -> None:
    opened(page, make(tmp_path / "g", NAMES))
    assert page.inner_text("#gallery-count") == "9 of 12 photos, 13 garments"  # the Dress of photo 1 has 0.31
    assert names(page) == [name for n, name in enumerate(NAMES) if n % 5]
    counts = page.locator("#classes .count").all_inner_texts()
    assert counts == ["9", "4"]
    page.locator("#score").fill("0.38")
    assert page.inner_text("#score-value") == "0.38"
    assert page.inner_text("#gallery-count") == "9 of 12 photos, 11 garments"
    page.locator("[data-class='0'] input").uncheck()
    assert names(page) == ["photo 9.jpg", EVIL]
    page.locator("#score").fill("0.1")
    assert names(page) == ["photo 1.jpg", "photo 3.jpg", "photo 7.jpg", "photo 9.jpg", EVIL]
    page.locator("#size").fill("20")  # 4 % of the photo; a Dress covers 1 %
    assert page.inner_text("#size-value") == "4.0 % of the photo"
    assert names(page) == []
    assert page.is_visible("#gallery-empty")
    page.click("#classes-all")
    assert page.inner_text("#gallery-count") == "9 of 12 photos, 9 garments"
    page.locator("#name").fill("HOTO 1")
    assert names(page) == ["photo 1.jpg"]
    page.select_option("#show", "all")
    assert names(page) == ["photo 1.jpg", "photo 10.jpg"]
    page.select_option("#show", "without")
    assert names(page) == ["photo 10.jpg"]


def test_the_order_changes(page: Page, tmp_path: Path) -> None:
    opened(page, make(tmp_path / "g", [f"p{n}.jpg" for n in (10, 9, 2, 1, 3)]))
    orders = {}
    for order in ("given", "name", "best", "least", "most"):
        page.select_option("#order", order)
        orders[order] = names(page)
    given = ["p9.jpg", "p2.jpg", "p1.jpg", "p3.jpg"]  # the first has nothing
    assert orders["given"] == orders["best"] == given
    assert orders["name"] == ["p1.jpg", "p2.jpg", "p3.jpg", "p9.jpg"]
    assert orders["least"][0] == "p1.jpg"  # 0.33; the 0.31 of p9 is below the threshold of its class
    page.locator("#score").fill("0.3")
    assert names(page)[0] == "p9.jpg"
    page.select_option("#order", "most")
    assert names(page) == ["p9.jpg", "p1.jpg", "p2.jpg", "p3.jpg"]


def test_names_are_text(page: Page, tmp_path: Path) -> None:
    opened(page, make(tmp_path / "g", NAMES))
    assert EVIL in names(page)
    assert page.locator("#cards img[src=x], h1 b").count() == 0
    page.locator("#cards .card").last.click()
    assert page.inner_text("#light-title") == EVIL
    assert page.locator("#light-objects .name").all_inner_texts() == ["Suit", "Dress </b>"]


def test_the_large_view_with_keys(page: Page, tmp_path: Path) -> None:
    opened(page, make(tmp_path / "g", NAMES))
    page.locator("#cards .card").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open] .canvas img[src*='photos/2.png']")
    assert page.inner_text("#light-title") == "photo 2.jpg"
    assert page.inner_text("#light-facts") == "2 of 9, 400 × 300 pixels"
    assert page.get_attribute("#light-stage img", "alt") == "photo 2.jpg: Suit 90 %. image_id 2"
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("dialog[open] .canvas img[src*='photos/3.png']")
    assert page.locator("#light-stage .overlay g").count() == 2
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")  # from the first to the last
    assert page.inner_text("#light-title") == EVIL
    assert page.locator("#light-links a").evaluate_all("(all) => all.map((a) => a.textContent)") == ["Photo", "Drawn"]
    page.keyboard.press("Escape")
    assert not page.is_visible("#light")
    # The browser gives the focus back to the first card; the page moves it on when the event of closing arrives.
    page.wait_for_function("(name) => document.activeElement.querySelector('.title')?.textContent === name", arg=EVIL)


def test_zoom_with_keys_wheel_buttons_and_double_click(page: Page, tmp_path: Path) -> None:
    opened(page, make(tmp_path / "g", NAMES))
    page.locator("#cards .card").nth(1).click()
    page.wait_for_selector(".canvas img[src*='photos/2.png']")
    fit = page.locator("#light-zoom-fit")
    width = page.locator(".canvas img").bounding_box()["width"]
    page.keyboard.press("+")
    assert fit.inner_text() == "140 %"
    assert page.locator(".canvas img").bounding_box()["width"] == pytest.approx(1.4 * width, rel=0.01)
    before = page.locator(".canvas img").bounding_box()["x"]
    page.keyboard.press("ArrowRight")  # moves, because it is zoomed
    assert page.locator(".canvas img").bounding_box()["x"] < before
    assert page.inner_text("#light-title") == "photo 2.jpg"
    page.keyboard.press("0")
    assert fit.inner_text() == "Fit"
    page.mouse.move(400, 500)
    page.mouse.wheel(0, -400)
    assert fit.inner_text() != "Fit"
    fit.click()
    page.click("#light-zoom-in")
    assert fit.inner_text() == "140 %"
    page.keyboard.press("PageDown")
    assert page.inner_text("#light-title") == "photo 3.jpg"
    assert fit.inner_text() == "Fit"


def test_outlines_lie_on_the_objects(page: Page, tmp_path: Path) -> None:
    opened(page, make(tmp_path / "g", NAMES))
    page.locator("#cards .card").nth(1).click()
    page.wait_for_selector(".canvas img[src*='photos/2.png']")
    photo = page.locator(".canvas img").bounding_box()
    shape = page.locator("#light-stage .shape").evaluate(
        "(s) => { const b = s.getBBox(); return [b.x, b.y, b.width]; }"
    )
    assert shape == pytest.approx([100 * 2.56, 75 * 2.56, 150 * 2.56], abs=1.01)
    box = page.locator("#light-stage .overlay").bounding_box()
    assert (box["x"], box["width"]) == pytest.approx((photo["x"], photo["width"]), abs=1)
    page.click("#light-lines")
    assert not page.is_visible("#light-stage .overlay")


def test_a_photo_that_is_gone_gives_its_thumbnail(browser: Any, tmp_path: Path) -> None:
    path = make(tmp_path / "g", NAMES)
    shutil.rmtree(tmp_path / "g" / "photos")
    context = browser.new_context(**SCREEN)
    page = context.new_page()
    opened(page, path)
    page.locator("#cards .card").first.click()
    page.wait_for_selector("#light .pill:not([hidden])")
    assert "moved" in page.inner_text("#light .pill")
    assert "gallery/0001-t.jpg" in page.get_attribute("#light-stage img", "src")
    context.close()


def test_without_its_data_the_page_says_so(browser: Any, tmp_path: Path) -> None:
    path = make(tmp_path / "g", NAMES)
    shutil.rmtree(tmp_path / "g" / "gallery")
    context = browser.new_context(**SCREEN)
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready=no]")
    assert "missing" in page.inner_text("#gallery-count")
    context.close()


MANY = 10_000


@pytest.mark.parametrize("page", [SCREEN, PHONE, {"viewport": {"width": 3840, "height": 2160}}], indirect=True,
                         ids=["screen", "phone", "4K"])  # fmt: skip
def test_ten_thousand_photos_take_few_nodes_and_load_what_is_seen(page: Page, tmp_path: Path) -> None:
    path = make(tmp_path / "g", [f"photo {n}.jpg" for n in range(MANY)], thumbnails=500)
    loaded: set[str] = set()
    page.on("request", lambda r: loaded.add(r.url) if r.url.endswith(".jpg") else None)
    opened(page, path)
    page.wait_for_selector("#cards .card img[src]")
    page.wait_for_timeout(300)
    seen = page.locator("#cards li").count()
    assert 0 < seen <= 120
    assert 0 < len(loaded) <= seen
    most, positions = 0, set()
    for step in range(21):
        page.evaluate("(part) => scrollTo(0, part * document.documentElement.scrollHeight)", step / 20)
        page.wait_for_timeout(30)
        most = max(most, page.evaluate("document.querySelectorAll('*').length"))
        positions |= {int(n) for n in page.locator("#cards li").evaluate_all("(a) => a.map((n) => n.ariaPosInSet)")}
    assert most < 2500
    assert {1, 8000} <= positions
    assert page.locator("#cards li").last.get_attribute("aria-setsize") == "8000"
    assert page.locator("#cards .title").last.inner_text() == f"photo {MANY - 1}.jpg"
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.wait_for_timeout(300)
    assert len(loaded) <= 500
    page.locator("#cards .card").last.focus()
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.querySelector('.title').textContent") == "photo 1.jpg"
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.querySelector('.title').textContent") == f"photo {MANY - 1}.jpg"


@pytest.mark.parametrize("page", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True, ids=str)
def test_everybody_can_use_the_page(page: Page, tmp_path: Path) -> None:
    opened(page, make(tmp_path / "g", NAMES))
    assert faults(page) == []
    page.locator("#cards .card").first.click()
    page.wait_for_selector("dialog[open] .canvas img")
    assert faults(page) == []


@pytest.mark.parametrize("page", [PHONE], indirect=True, ids=["phone"])
def test_on_a_phone(page: Page, tmp_path: Path) -> None:
    opened(page, make(tmp_path / "g", NAMES))
    assert not page.is_visible("#score")
    page.tap("#filters summary")
    assert page.is_visible("#score")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("#cards .card").first.tap()
    page.wait_for_selector("dialog[open] .canvas img[src*='photos/1.png']")
    assert page.evaluate("document.querySelector('#light').scrollWidth") <= 390
    touch(page, [(300, 400)], [(100, 400)])
    assert page.inner_text("#light-title") == "photo 2.jpg"
    touch(page, [(180, 400), (210, 400)], [(100, 400), (290, 400)])
    assert page.inner_text("#light-zoom-fit") != "Fit"
    assert page.inner_text("#light-title") == "photo 2.jpg"


def touch(page: Page, start: list[tuple[int, int]], end: list[tuple[int, int]]) -> None:
    """Fingers that go from some points to others."""
    session = page.context.new_cdp_session(page)

    def points(part: float) -> list[dict[str, float]]:
        pairs = zip(start, end, strict=True)
        return [{"x": a[0] + part * (b[0] - a[0]), "y": a[1] + part * (b[1] - a[1]), "id": n}
                for n, (a, b) in enumerate(pairs)]  # fmt: skip

    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points(0)})
    for step in range(1, 6):
        session.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": points(step / 5)})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
