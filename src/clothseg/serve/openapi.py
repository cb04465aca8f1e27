"""The OpenAPI description of the JSON interface, made from the types that check it, and a page that shows it."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from clothseg import __version__
from clothseg.pictures.html import render_page
from clothseg.serve.api_types import (
    ComposeQuery,
    CutoutQuery,
    Error,
    Json,
    LabelQuery,
    LabelRequest,
    ModelInfo,
    Prediction,
    PredictQuery,
)
from clothseg.serve.limits import MEGABYTE, MEGAPIXEL, Limits

_REFERENCE = "#/components/schemas/{model}"
_REFUSALS = {
    400: "The request or its photo cannot be read.",
    401: "The token is missing or wrong.",
    403: "The request comes from a page of another origin.",
    408: "The request took too long to arrive.",
    409: "The server was started again since the start that the request names.",
    413: "The photo is too large.",
    415: "The body is compressed (`Content-Encoding`).",
    421: "The server does not answer to this host name.",
    429: "The queue is full. `Retry-After` says how many seconds to wait.",
    500: "An unexpected error on the server.",
}
_OF_BODIES = {400, 408, 409, 413, 415, 429, 500}
_NO_INSTANCE = "There is no such instance on the photo, or nothing of it is visible."


def openapi(limits: Limits) -> Json:
    """The OpenAPI 3.1 document. Source: https://spec.openapis.org/oas/v3.1.1.html."""
    models: list[type[BaseModel]] = [Prediction, ModelInfo, Error, LabelRequest]
    _, schemas = models_json_schema([(model, "serialization") for model in models], ref_template=_REFERENCE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "clothseg serve",
            "version": __version__,
            "description": (
                f"Finds garments on photos and cuts them out. A photo may have {limits.photo_bytes // MEGABYTE} MB and "
                f"{limits.photo_pixels // MEGAPIXEL} million pixels; it is worked on in memory and never stored. One "
                f"request is worked on at a time, and {limits.queue} may wait."
            ),
        },
        "paths": {
            "/model": {"get": _operation("The network and its classes", _json("ModelInfo"), query=None, body=None)},
            "/predict": {"post": _operation("Finds garments on a photo", _json("Prediction"), PredictQuery, _PHOTO)},
            "/cutout": {
                "post": _operation(
                    "Cuts a garment out: a PNG with alpha", _picture("png"), CutoutQuery, _PHOTO, {404: _NO_INSTANCE}
                )
            },
            "/compose": {
                "post": _operation(
                    "Pastes a cut-out on another photo",
                    _picture("jpeg") | _picture("png"),
                    ComposeQuery,
                    _form("cutout", "background"),
                )
            },
            "/preview": {"post": _operation("A photo as a small JPEG, upright", _picture("jpeg"), None, _PHOTO)},
            "/labels": {
                "post": _operation(
                    "Detections as a file for a labelling tool",
                    {"application/json": {"schema": {}}, "application/xml": {"schema": {"type": "string"}}},
                    LabelQuery,
                    _json("LabelRequest"),
                )
            },
        },
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def api_page(document: Json) -> str:
    """The document as a page for people."""
    operations = _listed(document)
    answers = {status: answer for operation in operations for status, answer in operation["responses"].items()}
    refusals = {status: answers[status] for status in sorted(answers)}
    return render_page(
        "serve", "api.html.jinja", {"document": document, "operations": operations, "refusals": refusals}
    )


def _operation(
    summary: str,
    answer: Json,
    query: type[BaseModel] | None,
    body: Json | None,
    own_refusals: Mapping[int, str] | None = None,
) -> Json:
    refusals = {
        str(status): {"description": text, "content": _json("Error")}
        for status, text in sorted((_REFUSALS | dict(own_refusals or {})).items())
        if body is not None or status not in _OF_BODIES
    }
    operation: Json = {"summary": summary, "responses": {"200": {"description": "Done.", "content": answer}} | refusals}
    if query is not None:
        operation["parameters"] = _parameters(query)
    if body is not None:
        operation["requestBody"] = {"required": True, "content": body}
    return operation


def _parameters(query: type[BaseModel]) -> list[Json]:
    schema = query.model_json_schema()
    required = schema.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": facts.get("description", ""),
            "schema": {key: value for key, value in facts.items() if key not in {"title", "description"}},
        }
        for name, facts in schema["properties"].items()
    ]


def _json(model: str) -> Json:
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(model=model)}}}


def _picture(kind: str) -> Json:
    return {f"image/{kind}": {"schema": {"type": "string", "contentMediaType": f"image/{kind}"}}}


def _form(*files: str) -> Json:
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    schema = {"type": "object", "properties": dict.fromkeys(files, file), "required": list(files)}
    return {"multipart/form-data": {"schema": schema}}


_PHOTO = {"image/*": {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}} | _form("photo")


def _listed(document: Json) -> list[dict[str, Any]]:
    """Each operation with its method and path, for the template."""
    return [
        {"method": method.upper(), "path": path, **operation}
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
