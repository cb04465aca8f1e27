"""A server with a detector that needs no network, photos for it, and its page in Chromium."""

import io
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from browser import chromium
from PIL import Image

from clothseg.instances import Instances, PixelMasks
from clothseg.photos import RgbImage

pytest.importorskip("starlette", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")
pytest.importorskip("python_multipart", reason="the extra serve is not installed")

from clothseg.serve import Access, Engine, Limits, bind, create_app
from clothseg.serve.run import make_server

CLASSES = ["Suit", "Dress"]


def find(photos: Sequence[RgbImage]) -> list[Instances]:
    """Finds on each photo a Dress in the left half (0.9, with a hole), a Suit above (0.6), a Suit in a corner (0.2).

    On a white photo it finds nothing.
    """
    answers = []
    for photo in photos:
        height, width = photo.shape[:2]
        masks = torch.zeros((3, height, width), dtype=torch.bool)
        masks[0, height // 8 :, : width // 2] = True
        masks[0, height // 2 : height // 2 + height // 8, width // 8 : width // 4] = False
        masks[1, : height // 2, width // 4 :] = True
        masks[2, -height // 8 :, -width // 8 :] = True
        boxes = torch.tensor(
            [
                [0, height // 8, width // 2, height],
                [width // 4, 0, width, height // 2],
                [width - width // 8, height - height // 8, width, height],
            ],
            dtype=torch.float32,
        )
        found = Instances(
            (height, width), boxes, torch.tensor([2, 1, 1]), PixelMasks(masks), torch.tensor([0.9, 0.6, 0.2])
        )
        answers.append(found[:0] if photo.min() == 255 else found)
    return answers


def picture(seed: int = 0, size: tuple[int, int] = (96, 128), form: str = "JPEG", **options: Any) -> bytes:
    """A photo of smooth noise as a file; `size` is width and height in pixels."""
    noise = np.random.default_rng(seed).integers(0, 200, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    target = io.BytesIO()
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(target, form, **options)
    return target.getvalue()


def opened(content: bytes) -> Image.Image:
    """A picture from the bytes of its file."""
    return Image.open(io.BytesIO(content))


Client = httpx.Client
Page = Any
"""A page of playwright, which need not be installed."""
Start = Callable[..., Client]


@contextmanager
def served(app: Any, port: int = 0) -> Iterator[str]:
    """Serves the application in a thread, at the address that it yields."""
    started = threading.Event()
    with bind("127.0.0.1", port) as listening:
        server = make_server(app, started.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        assert started.wait(30)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a server and returns a client for it: `start(find=..., limits=..., access=...)`."""
    with ExitStack() as stack:

        def started(
            find: Callable[[Sequence[RgbImage]], Sequence[Instances]] = find,
            limits: Limits | None = None,
            access: Access | None = None,
            **options: Any,
        ) -> Client:
            app = create_app(Engine(find, CLASSES, limits or Limits()), access or Access(), **options)
            return stack.enter_context(Client(base_url=stack.enter_context(served(app)), timeout=60, trust_env=False))

        yield started


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A client of one server for the tests of a file."""
    with (
        served(create_app(Engine(find, CLASSES, Limits()), Access(), name="first")) as address,
        Client(base_url=address, timeout=60, trust_env=False) as made,
    ):
        yield made


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Waits until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(create_app(Engine(find, CLASSES, Limits()), Access(), name="first")) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Any, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The page, ready. Errors on its console fail the test, and so does a request to anywhere else."""
    context = browser.new_context(**getattr(request, "param", {}), accept_downloads=True)
    context.set_default_timeout(60_000)
    problems: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: problems.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith((address, "blob:")) else problems.append(r.url))
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    yield page
    context.close()
    assert problems == []


def files(*photos: tuple[str, bytes]) -> list[dict[str, Any]]:
    """Files for a file input."""
    return [{"name": name, "mimeType": "image/jpeg", "buffer": content} for name, content in photos]


def choose(page: Page, *photos: tuple[str, bytes]) -> None:
    """Chooses photos, and waits until all are done."""
    page.set_input_files("#choose" if page.is_visible("#welcome") else "#add", files(*photos))
    page.wait_for_selector("#progress", state="hidden")
    page.wait_for_selector(".card .spinner" if page.is_visible("#gallery") else ".pill .spinner", state="hidden")


def rows(page: Page) -> list[str]:
    """The names of the garments in the list beside the photo, with their scores."""
    return [" ".join(text.split()) for text in page.locator("#garments .row").all_inner_texts()]
