"""Label files that the server makes of detections, and detections that it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clothseg.dataset.prelabel_files import LabelFormat, write_prelabels

from .conftest import CLASSES, Client, picture


@pytest.mark.parametrize("form", list(LabelFormat))
def test_label_files_are_those_of_the_command(client: Client, tmp_path: Path, form: LabelFormat) -> None:
    images, results = detections(client)
    names = [{"id": n, "name": name} for n, name in enumerate(CLASSES, 1)]
    (tmp_path / "images.json").write_text(json.dumps({"images": images, "categories": names}))
    (tmp_path / "predictions.json").write_text(json.dumps(results))
    write_prelabels(tmp_path, [form])
    shown = [row for row in results if row["score"] >= 0.5]
    assert 0 < len(shown) < len(results)
    answer = client.post("/labels", params={"format": form}, json={"images": images, "results": shown})
    assert answer.json() == json.loads((tmp_path / f"labels-{form}.json").read_text())
    if form is LabelFormat.LABEL_STUDIO:
        screen = client.post("/labels?format=label-studio-config", json={"images": [], "results": []})
        assert screen.headers["content-type"].startswith("application/xml")
        assert screen.text == (tmp_path / "labels-label-studio.xml").read_text()


def detections(client: Client) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Two photos and their detections, as COCO has them."""
    images, results = [], []
    for number in (1, 2):
        found = client.post("/predict", content=picture(number)).json()
        images.append({"id": number, "file_name": f"{number}.jpg", "width": found["width"], "height": found["height"]})
        results += [
            {
                "image_id": number,
                "category_id": one["class_id"],
                "score": one["score"],
                "bbox": one["bbox"],
                "segmentation": one["segmentation"],
            }
            for one in found["instances"]
        ]
    return images, results


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda images, results: images.clear(), "no such image or class"),
        (lambda images, results: images.append(images[0]), "same id"),
        (lambda images, results: images[0].update(width=10**6, height=10**6), "pixels"),
        (lambda images, results: images[0].update(width=97), "RLE"),
        (lambda images, results: results[0].update(category_id=3), "no such image or class"),
        (lambda images, results: results[0]["segmentation"].update(counts="0"), "RLE"),
        (lambda images, results: results[0]["segmentation"].update(size=[1, 1]), "size"),
        (lambda images, results: results[0].update(score=2), "score"),
        (lambda images, results: results[0].update(path="x"), "path"),
    ],
)
def test_wrong_detections_are_refused(client: Client, change: Callable[[Any, Any], Any], word: str) -> None:
    images, results = detections(client)
    change(images, results)
    answer = client.post("/labels", json={"images": images, "results": results})
    assert answer.status_code == 400
    assert word in answer.json()["error"]


def test_a_label_request_that_is_too_large_is_not_called_a_photo(client: Client) -> None:
    answer = client.post("/labels", content=b" " * (26 << 20))
    assert answer.status_code == 413
    assert "a request for labels" in answer.json()["error"]


def test_a_label_request_that_is_no_json(client: Client) -> None:
    assert client.post("/labels", content=b"{").status_code == 400
    assert client.post("/labels", content=b"[" * 100_000).status_code == 400
