"""Reads the photos of a COCO file."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from clothseg.dataset.reading.issues import Issue, IssueLog
from clothseg.dataset.reading.photo_files import PhotoFiles, photo_size
from clothseg.dataset.reading.rows import ImageRow
from clothseg.dataset.reading.values import Id, describe, read_id, whole

MAX_SIDE = 100_000
"""Pixels. Larger sizes are mistakes, and would need too much memory."""
_MAX_NAME = 100  # characters of a name in messages


def read_images(rows: Sequence[tuple[int, dict[str, Any]]], photos: PhotoFiles, log: IssueLog) -> list[ImageRow]:
    """Reads the list of photos.

    Args:
        rows: position and JSON of each.
        photos: finds the files.
        log: receives the issues.

    Returns:
        The photos, without repeated rows.
    """
    found: list[ImageRow] = []
    by_id: dict[Id, ImageRow] = {}
    renamed: dict[int, str] = {}
    for row, raw in rows:
        image = _image(row, raw, log)
        first = by_id.setdefault(image.id, image) if image.id is not None else image
        if first is not image:
            if first.file_name == image.file_name:
                message = f"the same photo is at images[{first.row}] already"
                log.add(Issue("repeated_row", "images", row, _label(image), message, other=first.row))
                continue
            message = f"id {image.id!r} is also the id of {first.file_name!r}"
            log.add(Issue("duplicate_id", "images", row, _label(image), message, other=first.row))
        if image.file_name.strip():
            path, changed = photos.find(image.file_name)
            image = replace(image, path=path)
            if changed:
                renamed[row] = image.file_name
        found.append(image)
    found = _without_clashes(found, renamed, photos, log)
    return [image if image.size is not None else _with_size(image, log) for image in found]


def _image(row: int, raw: dict[str, Any], log: IssueLog) -> ImageRow:
    number, name = read_id(raw.get("id")), raw.get("file_name")
    height, width = raw.get("height"), raw.get("width")
    size = None
    if type(height) is int and type(width) is int and 1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE:
        size = (height, width)
    image = ImageRow(row, number, name if isinstance(name, str) else "", size, None, raw)
    if number is None or type(raw["id"]) is not int:
        what = "id missing" if raw.get("id") is None else f"id must be a whole number, found {describe(raw['id'])}"
        wrong = "missing_key" if raw.get("id") is None else "wrong_type"
        log.add(Issue(wrong if number is None else "id_not_whole", "images", row, _label(image), what))
    if name is None:
        log.add(Issue("missing_key", "images", row, _label(image), "file_name missing", need="photos"))
    elif not image.file_name.strip():
        message = f"file_name must be a text, found {describe(name)}"
        log.add(Issue("wrong_type", "images", row, _label(image), message, need="photos"))
    return image if size is not None else _with_whole_size(image, log)


def _with_whole_size(image: ImageRow, log: IssueLog) -> ImageRow:
    """The photo with its size, if that is only written in another form."""
    height, width = image.raw.get("height"), image.raw.get("width")
    sides = whole(height), whole(width)
    if sides[0] is None or sides[1] is None or not (1 <= sides[0] <= MAX_SIDE and 1 <= sides[1] <= MAX_SIDE):
        return image
    message = f"height and width are {describe(height)} and {describe(width)}, which must be whole numbers"
    log.add(Issue("number_form", "images", image.row, _label(image), message))
    return replace(image, size=(sides[0], sides[1]), raw=image.raw | {"height": sides[0], "width": sides[1]})


def _with_size(image: ImageRow, log: IssueLog) -> ImageRow:
    """The photo with the size that its file has, because the JSON has none that can be used."""
    raw = image.raw
    wrong = [f"{key} {describe(raw[key])}" for key in ("height", "width") if raw.get(key) is not None]
    absent = [key for key in ("height", "width") if raw.get(key) is None]
    what = f"{' and '.join(absent)} missing" if absent else f"an impossible size: {', '.join(wrong)}"
    size = photo_size(image.path) if image.path is not None else None
    if size is not None:
        message = f"{what}; the photo has {size[1]} x {size[0]} (width x height)"
        log.add(Issue("size_from_photo", "images", image.row, _label(image), message))
        return replace(image, size=size, raw=raw | {"height": size[0], "width": size[1]})
    whose = "there is no photo to read it from" if image.path is None else f"{image.path} cannot be read for it"
    message = f"{what} (1 to {MAX_SIDE} pixels are possible), and {whose}"
    kind = "missing_key" if absent else "wrong_type"
    log.add(Issue(kind, "images", image.row, _label(image), message))
    return image


def _without_clashes(
    images: Sequence[ImageRow], renamed: dict[int, str], photos: PhotoFiles, log: IssueLog
) -> list[ImageRow]:
    """Reports photos found under another name. If several photos would have the same file, it belongs to none."""
    names: dict[Any, set[str]] = {}
    for image in images:
        names.setdefault(image.path, set()).add(image.file_name)
    answer = []
    for image in images:
        if image.row not in renamed or image.path is None:
            answer.append(image)
        elif len(names[image.path]) > 1:
            plain = image.file_name.replace("\\", "/")
            answer.append(replace(image, path=photos.folders[0] / plain if photos.folders else None))
        else:
            message = f"{image.file_name!r} is at {image.path}"
            log.add(Issue("photo_name", "images", image.row, _label(image), message))
            answer.append(image)
    return answer


def _label(image: ImageRow) -> str:
    label = f"images[{image.row}]" if image.id is None else f"image {image.id}"
    name = image.file_name if len(image.file_name) <= _MAX_NAME else f"{image.file_name[:_MAX_NAME]}…"
    return f"{label}, {name}" if name else label
