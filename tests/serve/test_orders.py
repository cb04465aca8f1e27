"""The page when people do things in another order: while photos are sent, with folders, lost files, Back and reload."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from clothseg.photos import SUFFIXES, RgbImage
from clothseg.serve import Access, Engine, Limits, bind, create_app

from .conftest import CLASSES, Page, choose, files, find, picture, rows, served

pytestmark = pytest.mark.browser


def drop(page: Page, *paths: Path, at: tuple[int, int] = (400, 300)) -> None:
    """Drops files or folders of the disk, as a file manager does."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": at[0], "y": at[1], "data": data})


def press_slowly(page: Page, selector: str, between: threading.Event) -> None:
    """A click on an element during which a photo gets done."""
    box = page.locator(selector).first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    page.mouse.down()
    before = page.inner_text("#progress-text")
    between.set()
    page.wait_for_function("(text) => document.querySelector('#progress-text').textContent !== text", arg=before)
    page.mouse.up()


@pytest.mark.parametrize("selector", ["#garments .row", "#stage .overlay .shape"])
def test_a_click_counts_while_other_photos_are_in_work(browser: Any, selector: str) -> None:
    turns = threading.Event()
    turns.set()

    def slowly(photos: Sequence[RgbImage]) -> Any:
        assert turns.wait(60)
        return find(photos)

    with served(create_app(Engine(slowly, CLASSES, Limits()), Access())) as address:
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        choose(page, ("first.jpg", picture(1, (400, 400))))
        turns.clear()
        page.set_input_files("#add", files(*((f"{n}.jpg", picture(n + 2)) for n in range(5))))
        page.locator(".card").first.click()
        press_slowly(page, selector, turns)
        assert page.is_visible("#cutout")
        page.close()


def test_a_dropped_folder_gives_its_photos(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    (folder / "sub").mkdir(parents=True)
    (folder / ".git").mkdir()
    names = [f"{number}{suffix}" for number, suffix in enumerate(sorted(SUFFIXES))]
    for name in [*names, "sub/last.JPG", "notes.txt", ".hidden.jpg", ".git/a.jpg"]:
        (folder / name).write_bytes(picture(1))
    drop(page, folder)
    page.wait_for_selector(".card")
    page.wait_for_selector("#progress", state="hidden")
    assert page.locator(".card .title").all_text_contents() == [*names, "sub/last.JPG"]
    assert page.locator(".card .error").count() == 0


def test_a_folder_without_photos_is_named(page: Page, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a")
    drop(page, tmp_path / "texts")
    page.wait_for_selector("#notice:visible")
    assert "no photos" in page.inner_text("#notice")
    assert page.is_visible("#welcome")
    choose(page, ("a.jpg", picture(1)))
    assert not page.is_visible("#notice")


def test_a_file_that_has_gone_is_not_the_servers_fault(browser: Any, address: str, tmp_path: Path) -> None:
    file = tmp_path / "gone.jpg"
    file.write_bytes(picture(1))
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    page.set_input_files("#choose", file)
    page.wait_for_selector("#garments .row")
    file.unlink()
    page.locator("#garments .row").first.click()
    page.wait_for_selector("#cutout-picture p")
    assert "moved or changed" in page.inner_text("#cutout-picture")
    page.close()


def test_an_empty_file_is_named_without_a_request(page: Page) -> None:
    page.set_input_files("#choose", files(("nothing.jpg", b"")))
    page.wait_for_selector(".pill.error")
    assert "empty" in page.inner_text(".pill")
    assert not page.is_visible("#stage img"), "the browser's sign for a broken picture"
    page.get_by_role("button", name="Try again").press("Enter")
    assert page.evaluate("document.activeElement.id") == "stage"


def test_a_photo_is_dropped_on_a_composition(page: Page, tmp_path: Path) -> None:
    long = tmp_path / "long.png"
    long.write_bytes(picture(2, (4000, 8), form="PNG"))
    street = tmp_path / "street.jpg"
    street.write_bytes(picture(3, (300, 200)))
    choose(page, ("a.jpg", picture(1)))
    page.locator("#garments .row").first.click()
    page.click("#cutout-compose:enabled")
    for file in (long, street):
        drop(page, file, at=(500, 400))
        page.wait_for_selector(f"#board img[alt^='{file.name}']")
    page.wait_for_selector("#board .settled")
    assert page.inner_text("#compose-note") == ""
    page.keyboard.press("Escape")
    assert page.inner_text("#title") == "a.jpg", "it did not become a photo of the page"


def test_back_shows_all_photos_and_forward_the_photo(page: Page) -> None:
    choose(page, ("a.jpg", picture(1)), ("b.jpg", picture(2)))
    address = page.url
    page.locator(".card").nth(0).click()
    page.click("#next")
    page.go_back()
    assert page.inner_text("#title") == "2 photos"
    assert page.evaluate("document.activeElement.closest('li')?.textContent ?? ''").startswith("b.jpg")
    page.go_forward()
    assert page.inner_text("#title") == "b.jpg"
    page.click("#back")
    page.wait_for_function("history.state === null")
    assert page.inner_text("#title") == "2 photos"
    assert page.url == address


def test_who_leaves_with_several_photos_is_asked(page: Page) -> None:
    asked: list[str] = []

    def stay(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    choose(page, ("a.jpg", picture(1)))
    page.click("#stage")
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert asked == [], "one photo is soon there again"
    choose(page, ("a.jpg", picture(1)), ("b.jpg", picture(2)))
    page.locator(".card").first.click()
    page.evaluate("setTimeout(() => location.reload())")
    for _ in range(100):
        if not asked:
            page.wait_for_timeout(100)
    assert asked == ["beforeunload"]
    assert page.inner_text("#title") == "a.jpg"


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize("page", [PHONE], indirect=True, ids=["phone"])
def test_on_a_phone_a_photo_far_down_is_seen_when_it_opens(page: Page) -> None:
    def top(selector: str) -> float:
        return float(page.locator(selector).bounding_box()["y"])

    choose(page, *((f"{n}.jpg", picture(n, (96, 128))) for n in range(12)))
    page.locator(".card").last.tap()
    assert page.inner_text("#title") == "11.jpg"
    assert 0 <= top("#stage") < 400
    page.tap("#back")
    assert 0 <= top("li:last-child .card") < 844, "back at its card"
    page.tap("#to-panel")
    page.wait_for_function("document.querySelector('#panel').getBoundingClientRect().top < 400")
    assert page.evaluate("document.activeElement.id") == "panel"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no photo", "Not a picture in a known format"), (picture(1)[:700], "The photo cannot be read")],
)
def test_why_a_photo_is_not_read_is_a_sentence(browser: Any, address: str, content: bytes, words: str) -> None:
    page = browser.new_page()
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    page.set_input_files("#choose", files(("a.jpg", content)))
    page.wait_for_selector(".pill.error")
    assert page.locator(".pill span").inner_text().startswith(words)
    assert not page.is_visible("#garments-part")
    page.close()


def test_the_same_photo_twice(page: Page) -> None:
    choose(page, ("a.jpg", picture(1)))
    choose(page, ("a.jpg", picture(1)))
    page.click("#back")
    assert page.locator(".card").count() == 2
    assert "same name" in page.inner_text("#download-note")
    page.get_by_role("button", name="Remove a.jpg").first.click()
    assert "same name" not in page.inner_text("#download-note")


def test_names_are_cut_between_characters(page: Page) -> None:
    choose(page, (f"{'x' * 59}\N{GRINNING FACE}\N{GRINNING FACE}.jpg", picture(1)))
    page.locator("#garments .row").first.click()
    page.wait_for_selector("#cutout-save[href]")
    assert page.get_attribute("#cutout-save", "download") == f"{'x' * 59}\N{GRINNING FACE}-1-Dress.png"


def test_a_server_that_was_started_again_with_another_network(browser: Any) -> None:
    """What was found before means nothing to it: the page asks anew, and never cuts out another garment."""

    def other(photos: Sequence[RgbImage]) -> Any:
        return [found[1:2] for found in find(photos)]  # the Suit alone, now number 0

    with bind("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
    page = browser.new_page()
    for number, (finder, classes) in enumerate(((find, [*CLASSES, "Hat"]), (other, ["Suit"]))):
        app = create_app(Engine(finder, classes, Limits()), Access(), name=f"network {number}")
        with served(app, port) as address:
            if not number:
                page.goto(address)
                page.wait_for_selector("body[data-ready]")
                choose(page, ("a.jpg", picture(1)), ("b.jpg", picture(2)))
                page.locator(".card").first.click()
                continue
            page.get_by_role("button", name="Dress, score 90 %").click()
            page.wait_for_selector("#cutout-picture p")
            assert "started again" in page.inner_text("#cutout-picture")
            page.keyboard.press("Escape")
            page.wait_for_selector("#garments .row[aria-label^='Suit, score 60 %']")
            assert len(rows(page)) == 1
            assert page.locator("#classes .name").all_inner_texts() == ["Suit"]
            assert page.inner_text("#model-name") == "network 1"
            page.click("#garments .row")
            page.wait_for_selector("#cutout-picture img")
    page.close()


def test_a_new_token_is_asked_for_in_words_for_people(browser: Any) -> None:
    with bind("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
    page = browser.new_page()
    for token in ("a" * 16, "b" * 16):
        with served(create_app(Engine(find, CLASSES, Limits()), Access(token=token)), port) as address:
            if token.startswith("a"):
                page.goto(f"{address}/?token={token}")
                page.wait_for_selector("body[data-ready]")
                choose(page, ("a.jpg", picture(1)))
            else:
                page.click("#garments .row")
                page.wait_for_selector("#cutout-picture p")
                assert "Open the address that it printed" in page.inner_text("#cutout-picture")
    page.close()
