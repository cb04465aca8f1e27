"""The Starlette application: which address does what."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clothseg import __version__
from clothseg.errors import ClothsegError, DataError, is_out_of_memory
from clothseg.instances import CocoImage, CocoResult, from_segmentation
from clothseg.pictures import class_colour
from clothseg.serve.access import Access
from clothseg.serve.api_types import ComposeQuery, CutoutQuery, LabelQuery, LabelRequest, PredictQuery
from clothseg.serve.engine import Engine
from clothseg.serve.guard import Guard
from clothseg.serve.limits import RequestError
from clothseg.serve.openapi import api_page, openapi
from clothseg.serve.request_body import declared_bytes, drain, read_parts, require_plain_body
from clothseg.serve.static import static_files
from clothseg.serve.worker import Worker

Q = TypeVar("Q", bound=BaseModel)
START_HEADER = "X-Clothseg-Start"
"""With the value of `start` from `GET /model`, a request is for that start of the server only."""
Report = Callable[[BaseException], object]
"""Receives an error that is a fault of the server."""


def create_app(
    engine: Engine,
    access: Access,
    *,
    name: str = "model",
    score_threshold: float = 0.5,
    class_thresholds: Mapping[str, float] | None = None,
    report: Report | None = None,
) -> Starlette:
    """The application with its page, its files and its JSON interface.

    Args:
        engine: does the work.
        access: who may use it.
        name: of the network, for the page.
        score_threshold: where the page's slider begins.
        class_thresholds: where it begins for some classes, by name.
        report: receives unexpected errors.
    """
    handlers = _Handlers(engine, report or (lambda error: None))
    info = _model_info(engine, name, score_threshold, class_thresholds or {}) | {"start": handlers.start}
    document = openapi(engine.limits)
    described = Response(api_page(document), media_type="text/html; charset=utf-8")
    routes = [Route(path, _fixed(content)) for path, content in static_files().items()]
    routes += [
        Route("/model", _fixed(JSONResponse(info))),
        Route("/openapi.json", _fixed(JSONResponse(document))),
        Route("/api", _fixed(described)),
    ]
    for work in ("predict", "cutout", "compose", "preview", "labels"):
        routes.append(Route(f"/{work}", getattr(handlers, work), methods=["POST"]))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        handlers.worker.start(engine.warm_up)
        yield
        handlers.worker.close()

    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={RequestError: _refused, ClothsegError: _refused, HTTPException: _refused},
        lifespan=lifespan,
    )


class _Handlers:
    """The requests that need the engine. Each takes a place in the queue before its body is read."""

    def __init__(self, engine: Engine, report: Report) -> None:
        self.engine, self.worker, self._report = engine, Worker(engine.limits), report
        self.start = secrets.token_hex(8)

    async def predict(self, request: Request) -> Response:
        query = _query(request, PredictQuery)
        parts = partial(self._photo, request)
        found = await self._run(
            request, parts, lambda photo: self.engine.predict(photo, score_threshold=query.score_threshold)
        )
        return Response(orjson.dumps(found), media_type="application/json")

    async def cutout(self, request: Request) -> Response:
        query = _query(request, CutoutQuery)
        png = await self._run(
            request,
            partial(self._photo, request),
            lambda photo: self.engine.cutout(photo, query.instance, full_frame=query.full_frame),
        )
        return Response(png, media_type="image/png")

    async def compose(self, request: Request) -> Response:
        query = _query(request, ComposeQuery)

        async def pictures() -> tuple[bytes, bytes]:
            parts = await read_parts(request, self.engine.limits, files=2)
            return parts.file("cutout"), parts.file("background")

        place = query.model_dump(exclude={"format"}) | {"form": query.format.upper()}
        result = await self._run(request, pictures, lambda both: self.engine.compose(*both, **place), files=2)
        return Response(result, media_type=f"image/{query.format}")

    async def preview(self, request: Request) -> Response:
        return Response(
            await self._run(request, partial(self._photo, request), self.engine.preview), media_type="image/jpeg"
        )

    async def labels(self, request: Request) -> Response:
        query = _query(request, LabelQuery)
        made = await self._run(
            request,
            partial(self._photo, request),
            lambda body: self.engine.labels(*self._detections(body), query.format),
        )
        if isinstance(made, str):
            return Response(made, media_type="application/xml")
        return Response(orjson.dumps(made), media_type="application/json")

    async def _photo(self, request: Request) -> bytes:
        return (await read_parts(request, self.engine.limits)).file("photo")

    async def _run(
        self,
        request: Request,
        read: Callable[[], Awaitable[Any]],
        work: Callable[[Any], Any],
        files: int = 1,
    ) -> Any:
        """Reads a request and does its work, when it is its turn; all errors become a `ClothsegError`."""
        limits = self.engine.limits
        if request.headers.get(START_HEADER, self.start) != self.start:  # numbers of instances may mean others now
            raise RequestError(409, "the server was started again; reload the page, or read GET /model again")
        try:
            require_plain_body(request)
            with self.worker.place(declared_bytes(request, limits, files)):
                return await self.worker.run(partial(work, await read()), request.is_disconnected)
        except ClientDisconnect:
            raise RequestError(499, "the client has left") from None
        except RequestError as error:
            if error.status in {413, 415, 429}:
                await drain(request, limits)
            raise
        except ClothsegError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise RequestError(413, "memory ran out for this photo; send a smaller one") from error
            self._report(error)
            raise RequestError(500, "an unexpected error on the server; its terminal shows more") from error

    def _detections(self, body: bytes) -> tuple[list[CocoImage], list[CocoResult]]:
        """The content of a request for a label file, checked."""
        try:
            asked = LabelRequest.model_validate_json(body)
        except ValidationError as error:
            raise RequestError(400, _first_error(error)) from None
        if len({image.id for image in asked.images}) < len(asked.images):
            raise RequestError(400, "images: two have the same id")
        sizes = {image.id: (image.height, image.width) for image in asked.images}
        if any(height * width > self.engine.limits.photo_pixels for height, width in sizes.values()):
            raise RequestError(400, f"images: a photo may have {self.engine.limits.photo_pixels} pixels")
        images: list[CocoImage] = [
            {"id": image.id, "file_name": image.file_name, "width": image.width, "height": image.height}
            for image in asked.images
        ]
        results: list[CocoResult] = []
        for number, row in enumerate(asked.results):
            if row.image_id not in sizes or row.category_id > len(self.engine.classes):
                raise DataError(f"results[{number}]: there is no such image or class")
            mask = from_segmentation(row.segmentation.model_dump(), *sizes[row.image_id])
            results.append(
                {
                    "image_id": row.image_id,
                    "category_id": row.category_id,
                    "score": row.score,
                    "segmentation": mask,
                }
            )
        return images, results


def _query(request: Request, model: type[Q]) -> Q:
    """The parameters of a request.

    Raises:
        RequestError: one is wrong, or not known.
    """
    try:
        return model.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise RequestError(400, _first_error(error)) from None


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


async def _refused(_: Request, error: Exception) -> Response:
    """The response to a request that failed."""
    if isinstance(error, HTTPException):
        status, message, headers = error.status_code, f"{error.detail}; see /api", error.headers
    elif isinstance(error, RequestError):
        status, message, headers = error.status, str(error), error.headers
    else:
        status, message, headers = 400, str(error), None
    return JSONResponse({"error": message}, status_code=status, headers=headers)


def _fixed(response: Response) -> Callable[[Request], Awaitable[Response]]:
    """A handler that always gives the same response."""

    async def handler(_: Request) -> Response:
        return response

    return handler


def _model_info(
    engine: Engine, name: str, score_threshold: float, class_thresholds: Mapping[str, float]
) -> dict[str, Any]:
    """The JSON of `api_types.ModelInfo`."""
    classes = [
        {
            "id": number,
            "name": label,
            "colour": "#{:02x}{:02x}{:02x}".format(*class_colour(number)),
            "score_threshold": class_thresholds.get(label, score_threshold),
        }
        for number, label in enumerate(engine.classes, 1)
    ]
    return {
        "name": name,
        "version": __version__,
        "classes": classes,
        "score_threshold": score_threshold,
        "max_bytes": engine.limits.photo_bytes,
        "max_pixels": engine.limits.photo_pixels,
    }
