"""The description of the interface agrees with the application."""

import json
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

from starlette.routing import Route

from clothseg.instances import Instances
from clothseg.photos import RgbImage
from clothseg.serve import Access, Engine, Limits, create_app
from clothseg.serve.static import static_files

from .conftest import CLASSES, Client, Start, find, picture


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from [below] if key == "$ref" else references(below)
    elif isinstance(value, list):
        for below in value:
            yield from references(below)


def test_every_address_is_described(client: Client) -> None:
    app = create_app(Engine(find, CLASSES, Limits()), Access())
    pages = {*static_files(), "/api", "/openapi.json"}
    served = {
        (route.path, method)
        for route in app.routes
        if isinstance(route, Route) and route.path not in pages
        for method in (route.methods or set()) - {"HEAD"}
    }
    paths = client.get("/openapi.json").json()["paths"]
    assert served == {(path, method.upper()) for path, operations in paths.items() for method in operations}


def test_every_reference_leads_somewhere(client: Client) -> None:
    document = client.get("/openapi.json").json()
    found = set(references(document))
    assert len(found) >= 6
    for reference in found:
        place: Any = document
        for key in reference.removeprefix("#/").split("/"):
            place = place[key]


def test_described_parameters_are_accepted(client: Client) -> None:
    """Each default, sent as it is described, changes nothing."""
    asked = []
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        parameters = operations.get("post", {}).get("parameters", [])
        values = {p["name"]: json.dumps(p["schema"].get("default", 0)).strip('"') for p in parameters}
        if not parameters:
            continue
        answer = client.post(path, params=values, content=picture())
        assert "format" in values or answer.status_code == 200, path
        assert "Extra inputs" not in answer.text, path
        asked.append(path)
    assert {"/predict", "/cutout"} <= set(asked)


def test_every_refusal_is_described(start: Start) -> None:
    """What the server answers to requests that fail in each possible way."""

    def broken(photos: Sequence[RgbImage]) -> list[Instances]:
        if photos[0].shape[1] == 104:
            raise KeyError("a fault")
        return find(photos)

    client = start(find=broken, limits=Limits(body_seconds=0.3, photo_bytes=1_000_000), report=lambda _: None)
    document = client.get("/openapi.json").json()
    refused = [
        ("/predict", client.post("/predict", content=b"no photo")),
        ("/predict", client.post("/predict", content=bytes(3_000_000))),
        ("/predict", client.post("/predict", content=picture(size=(104, 96)))),
        ("/predict", client.post("/predict", content=_slow())),
        ("/predict", client.post("/predict", content=picture(), headers={"Origin": "http://elsewhere"})),
        ("/predict", client.post("/predict", content=picture(), headers={"Host": "elsewhere"})),
        ("/predict", client.post("/predict", content=picture(), headers={"X-Clothseg-Start": "another"})),
        ("/cutout", client.post("/cutout?instance=9", content=picture())),
    ]
    assert [answer.status_code for _, answer in refused] == [400, 413, 500, 408, 403, 421, 409, 404]
    page = client.get("/api").text
    for path, answer in refused:
        described = document["paths"][path]["post"]["responses"][str(answer.status_code)]
        assert described["content"]["application/json"]["schema"]["$ref"].endswith("/Error")
        assert set(answer.json()) == {"error"}
        assert f'<th scope="row">{answer.status_code}</th><td>{described["description"]}</td>' in page.replace(
            "&#39;", "'"
        )


def _slow() -> Iterator[bytes]:
    yield b"some"
    time.sleep(1)
    yield b"more"


def test_the_page_for_people_names_everything(client: Client) -> None:
    document, page = client.get("/openapi.json").json(), client.get("/api").text
    for path in document["paths"]:
        assert f"POST {path}" in page or f"GET {path}" in page
    for name, schema in document["components"]["schemas"].items():
        assert f'id="{name}"' in page
        assert all(f"<code>{key}</code>" in page for key in schema["properties"])


def test_no_page_loads_anything_from_elsewhere(client: Client) -> None:
    for path in (*static_files(), "/api"):
        addresses = re.findall(r"https?://[^\s\"'<>)]+", client.get(path).text)
        elsewhere = [a for a in addresses if not a.startswith(("http://www.w3.org/", "http://127.0.0.1"))]
        assert elsewhere == [], path
