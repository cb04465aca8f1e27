"""The page and its folder."""

import base64
import hashlib
import re
from pathlib import Path
from urllib.parse import unquote, urljoin

import pytest
from decode_gallery import read_gallery

from clothseg.errors import ClothsegError
from clothseg.gallery import (
    Entry,
    GalleryClass,
    GalleryInfo,
    clear_gallery,
    page_parts,
    require_own_page,
    write_gallery,
)
from clothseg.gallery.data import entry_row
from clothseg.gallery.entries import address

INFO = GalleryInfo("clothseg predict", "</title><b>1 photo</b>", [GalleryClass("Suit", "#1e69d7")])
ROW = entry_row(Entry("a.jpg", 30, 20, []))


def test_the_policy_allows_exactly_the_script_of_the_page(tmp_path: Path) -> None:
    write_gallery(tmp_path, INFO, [ROW])
    page = (tmp_path / "index.html").read_text()
    (script,) = re.findall(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert f"sha256-{digest}" in policy.replace("&#43;", "+")
    assert "default-src" in policy
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    assert "<b>" not in page
    assert read_gallery(tmp_path)["entries"] == [ROW]


def test_a_page_with_its_data_allows_no_other_script() -> None:
    policy = page_parts(INFO, [ROW]).policy
    assert re.fullmatch(r"script-src 'sha256-[^']+'", policy.split("; ")[-1])


def test_only_the_gallery_is_deleted(tmp_path: Path) -> None:
    write_gallery(tmp_path, INFO, [ROW])
    for name in ("gallery/0001-a.jpg", "gallery/0001-a.webp"):
        (tmp_path / name).touch()
    mine = [tmp_path / "mine.html", tmp_path / "gallery" / "mine.jpg", tmp_path / "gallery" / "data.json"]
    for path in mine:
        path.touch()
    clear_gallery(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(mine)
    for path in mine:
        path.unlink()
    write_gallery(tmp_path, INFO, [ROW])
    clear_gallery(tmp_path)
    assert list(tmp_path.iterdir()) == []
    clear_gallery(tmp_path / "absent")


def test_another_page_is_neither_replaced_nor_deleted(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("my own page")
    with pytest.raises(ClothsegError, match=r"index\.html exists and is no gallery.*--no-gallery"):
        require_own_page(tmp_path)
    (tmp_path / "gallery").mkdir()
    clear_gallery(tmp_path)
    assert (tmp_path / "index.html").read_text() == "my own page"
    (tmp_path / "index.html").unlink()
    write_gallery(tmp_path, INFO, [ROW])
    require_own_page(tmp_path)


@pytest.mark.parametrize("name", ["a b#c?d%20.jpg", "漢字 ü.jpg", "javascript:alert(1).jpg", "'\"<b>&.jpg", "..jpg"])
def test_an_address_leads_to_its_file(tmp_path: Path, name: str) -> None:
    out, photo = tmp_path / "out put", tmp_path / "photos #1" / name
    found = address(photo, out)
    assert not re.match(r"[a-z]+:", found)
    target = unquote(urljoin((out / "index.html").as_uri(), found))
    assert target == f"file://{photo}"
