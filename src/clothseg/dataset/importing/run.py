"""Labels of another tool to a COCO dataset: read, copy photos, split, write."""

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from clothseg.dataset.coco_writer import write_coco
from clothseg.dataset.duplicates import near_duplicates, perceptual_hash
from clothseg.dataset.importing.formats import open_source
from clothseg.dataset.importing.labels import Dropped, LabelledPhoto, LabelSource, valid_text
from clothseg.dataset.importing.options import DEFAULT_VAL_FRACTION, ImportOptions
from clothseg.dataset.importing.orient import Oriented, annotations_of, orient
from clothseg.dataset.importing.summary import ImportSummary, SplitCounts, describe
from clothseg.dataset.split import split_photos
from clothseg.errors import ClothsegError, DataError, PhotoError
from clothseg.files import OutputNames, atomic_folder, atomic_write, require_outside_inputs
from clothseg.instances import CocoCategory, is_box_only
from clothseg.instances.class_names import class_name_key, tidy_class_name
from clothseg.photos import photo_exists
from clothseg.progress import ProgressBar, no_progress

DEFAULTS = ImportOptions()
SPLIT_NAMES = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class _Row:
    """A photo that is in the dataset, without its annotations."""

    name: str
    source: str
    height: int
    width: int
    split: str
    classes: frozenset[str]
    masks: dict[str, int]
    boxes: dict[str, int]
    hash: str


@dataclass
class _Read:
    """What the source gave."""

    rows: list[_Row] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    classes: dict[str, None] = field(default_factory=dict)
    turned: int = 0
    spellings: dict[str, str] = field(default_factory=dict)

    def one_spelling(self, name: str) -> str:
        """The first spelling of a class, without which two names would differ only in case or spaces."""
        return self.spellings.setdefault(class_name_key(name), tidy_class_name(name))


def import_dataset(
    source: Path | str,
    out: Path | str,
    options: ImportOptions = DEFAULTS,
    *,
    progress: ProgressBar = no_progress,
) -> ImportSummary:
    """Makes a COCO dataset from the labels of another tool.

    Photos are copied and never changed. A broken label file, shape or photo does not stop the import; the summary lists
    it. The dataset appears when it is complete: an interruption leaves nothing.

    Args:
        source: the folder or file of the tool.
        out: folder for the dataset.
        options: the format, the classes, the split.
        progress: wraps the photos, for a progress bar.

    Returns:
        What was written, and what was left out by reason.

    Raises:
        ClothsegError: `out` exists already, or has the source in it.
        DataError: no labels of a known format, no photo or object is left, or a class of the options does not exist.
            Nothing is written then.
    """
    source, out = Path(source), Path(out)
    require_outside_inputs(out, [source if source.is_dir() else source.parent], allow_inside=True)
    if options.overwrite and out.exists() and not _replaceable(out):
        raise ClothsegError(f"{out} has no dataset.yaml, so it is not replaced; choose another folder")
    labels = open_source(source, options.format)
    with atomic_folder(out, overwrite=options.overwrite) as folder:
        spool = folder / ".annotations"
        with spool.open("wb") as stream:
            read = _read_all(labels, folder, stream, options, progress)
        classes = _class_names(labels, read, options)
        splits, near = _split(read.rows, options) if len(read.rows) > 1 else ({"train": [], "val": []}, ())
        _check(splits, read.rows, read.dropped, labels)
        categories = [CocoCategory(id=n, name=name, supercategory="") for n, name in enumerate(classes, start=1)]
        counts = _write_splits(folder, spool, read.rows, splits, categories)
        spool.unlink()
        summary = ImportSummary(out, labels.format, labels.seen, classes, counts, tuple(read.dropped), near,
                                read.turned, labels.unlabelled_rule)  # fmt: skip
        text = describe(summary, source, labels.files, options.as_dict())
        atomic_write(folder / "dataset.yaml", text)
    return summary


def _replaceable(out: Path) -> bool:
    return out.is_dir() and ((out / "dataset.yaml").is_file() or not any(out.iterdir()))


def _read_all(labels: LabelSource, folder: Path, spool: Any, options: ImportOptions, progress: ProgressBar) -> _Read:
    """Copies the photos, and writes the annotations of each as a line of `spool`, so that few are in memory."""
    (folder / "images").mkdir()
    names, read = OutputNames(), _Read()
    for name in options.classes.values() if options.classes else labels.classes:
        read.one_spelling(valid_text(name))
    seen: set[Path] = set()
    for photo in progress(labels.photos(), labels.count, "photos"):
        read.dropped += photo.dropped
        if not photo.kept:
            continue
        if isinstance(photo.photo, Path):
            place = photo.photo.resolve()
            if place in seen:
                read.dropped.append(Dropped("repeated_photo", photo.name, "", "", "its first labels are used"))
                continue
            seen.add(place)
        if not (photo.labelled or photo.objects or options.keep_unlabelled):
            read.dropped.append(Dropped("not_labelled", photo.name, "", "", "no labels"))
            continue
        row, annotations = _take(photo, folder / "images", names, options, read)
        if row is not None:
            read.rows.append(row)
            spool.write(orjson.dumps(annotations) + b"\n")
    return read


def _take(
    photo: LabelledPhoto, images: Path, names: OutputNames, options: ImportOptions, read: _Read
) -> tuple[_Row | None, list[dict[str, Any]]]:
    """Copies one photo and makes its annotations. Without a row if it cannot be read or does not fit its labels."""
    stem, suffix = os.path.splitext(Path(photo.name).name)  # noqa: PTH122 - `a.b` has a suffix here, and `.b` has not
    target = images / names.name(stem, suffix.lower() if len(suffix) < 8 else "")
    try:
        _copy(photo.photo, target, hard_link=options.hard_links)
        oriented: Oriented = orient(target, photo)
    except (PhotoError, DataError, OSError) as error:
        target.unlink(missing_ok=True)
        reason = "other_size" if isinstance(error, DataError) else "unreadable_photo"
        if isinstance(photo.photo, Path) and not photo_exists(photo.photo):
            reason = "missing_photo"
        text = str(error).replace(str(target), str(photo.photo) if isinstance(photo.photo, Path) else photo.name)
        read.dropped.append(Dropped(reason, photo.name, "", "", text))
        return None, []
    read.turned += oriented.turned
    annotations, dropped = annotations_of(photo, oriented, options)
    read.dropped += dropped
    counts: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for annotation in annotations:
        annotation["class"] = read.one_spelling(annotation["class"])
        read.classes.setdefault(annotation["class"])
        counts[is_box_only(annotation)][annotation["class"]] += 1
    masks, boxes = map(dict, counts)
    classes = frozenset(masks.keys() | boxes.keys())
    height, width = oriented.pixels.shape[:2]
    digits = perceptual_hash(oriented.pixels)
    return _Row(target.name, photo.name, height, width, photo.split, classes, masks, boxes, digits), annotations


def _copy(source: Path | bytes, target: Path, *, hard_link: bool) -> None:
    if isinstance(source, bytes):
        target.write_bytes(source)
        return
    if not source.is_file():
        raise PhotoError(f"{source}: no such photo")
    if hard_link:
        try:
            os.link(source.resolve(), target)
        except OSError:  # another file system
            shutil.copyfile(source, target)
    else:
        shutil.copyfile(source, target)


def _class_names(labels: LabelSource, read: _Read, options: ImportOptions) -> tuple[str, ...]:
    """The classes in the order of their ids."""
    if options.classes:
        known = {*labels.classes, *read.classes, *(d.class_name for d in read.dropped)} - {""}
        missing = [old for old, new in options.classes.items() if old not in known and new not in read.classes]
        if missing:
            raise DataError(f"no class {', '.join(map(repr, missing))} in the labels; they have {_some(known)}")
        return tuple(dict.fromkeys(map(read.one_spelling, options.classes.values())))
    listed = dict.fromkeys(read.one_spelling(valid_text(name)) for name in labels.classes if name)
    return tuple(listed | dict.fromkeys(sorted(set(read.classes) - listed.keys())))


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:20]) + (f" and {len(ordered) - 20} more" if len(ordered) > 20 else "")


def _split(rows: list[_Row], options: ImportOptions) -> tuple[dict[str, list[int]], tuple[tuple[str, str], ...]]:
    """Positions of the rows by split, and the near-duplicates that a split by fraction kept together."""
    splits: dict[str, list[int]] = {name: [] for name in SPLIT_NAMES}
    pooled: list[int] = []
    own_val = any(row.split == "val" for row in rows)
    by_fraction = options.val_fraction is not None or not own_val
    for position, row in enumerate(rows):
        if row.split == "test":
            splits["test"].append(position)
        elif by_fraction:
            pooled.append(position)
        else:
            splits[row.split or "train"].append(position)
    if not pooled:
        return splits, ()
    near = near_duplicates({rows[p].name: rows[p].hash for p in pooled})
    fraction = options.val_fraction or DEFAULT_VAL_FRACTION
    train, _ = split_photos({rows[p].name: rows[p].classes for p in pooled}, fraction, options.seed, near)
    for position in pooled:
        splits["train" if rows[position].name in train else "val"].append(position)
    return splits, tuple((pair[0], pair[1]) for pair in near)


def _check(splits: dict[str, list[int]], rows: list[_Row], dropped: list[Dropped], labels: LabelSource) -> None:
    """Refuses a dataset without objects, or without a photo in train or val."""
    first = f"; the first of {len(dropped)} things left out: {dropped[0].text()}" if dropped else ""
    if not any(row.classes for row in rows):
        raise DataError(f"no object is left of {labels.seen}{first}")
    for name in ("train", "val"):
        if not splits[name]:
            raise DataError(f"{name} has no photo{first}; --val-fraction splits train and val again")


def _write_splits(
    folder: Path, spool: Path, rows: list[_Row], splits: dict[str, list[int]], categories: list[CocoCategory]
) -> dict[str, SplitCounts]:
    """Writes the COCO file of each split that has photos. Returns their counts."""
    numbers = {category["name"]: category["id"] for category in categories}
    counts = {}
    for split, positions in splits.items():
        if not positions and split == "test":
            continue
        chosen = [rows[position] for position in positions]
        images = (
            {"id": n, "file_name": row.name, "width": row.width, "height": row.height, "source_name": row.source}
            for n, row in enumerate(chosen, start=1)
        )
        annotations = _annotations(spool, {position: n for n, position in enumerate(positions, start=1)}, numbers)
        info = {"description": f"{', '.join(numbers)}: {split}"}
        path = folder / "annotations" / f"{split}.json"
        write_coco(path, info=info, categories=categories, images=images, annotations=annotations)
        counts[split] = SplitCounts(
            photos=len(chosen),
            negatives=sum(not row.classes for row in chosen),
            masks=sum(sum(row.masks.values()) for row in chosen),
            boxes=sum(sum(row.boxes.values()) for row in chosen),
            class_photos={name: sum(name in row.classes for row in chosen) for name in numbers},
            class_masks={name: sum(row.masks.get(name, 0) for row in chosen) for name in numbers},
            class_boxes={name: sum(row.boxes.get(name, 0) for row in chosen) for name in numbers},
        )
    return counts


def _annotations(spool: Path, image_ids: dict[int, int], categories: dict[str, int]) -> Iterator[dict[str, Any]]:
    number = 0
    with spool.open("rb") as stream:
        for position, line in enumerate(stream):
            if position not in image_ids:
                continue
            for annotation in orjson.loads(line):
                number += 1
                category = categories[annotation.pop("class")]
                yield {"id": number, "image_id": image_ids[position], "category_id": category, **annotation}
