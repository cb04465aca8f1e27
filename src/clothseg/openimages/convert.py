"""Open Images -> a COCO data set, by the straight path: choose, read, bring to the photo's grid, write.

Traps of the format that this file answers to: masks seldom have their photo's size, those of one photo may overlap, the
rows are in no order, and width and height of a photo stand nowhere but in the photo itself.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from clothseg.errors import ClothsegError, DataError, PhotoError
from clothseg.files import refuse_existing
from clothseg.instances import Rle, encode, mask_area, read_mask_png, resize_mask, tight_box
from clothseg.openimages.archives import MaskArchive, MissingMaskError
from clothseg.openimages.matching import boxes_without_mask
from clothseg.openimages.plan import Part, load_source, plan_parts
from clothseg.openimages.summary import BuildSummary, Dropped, SplitCounts, UnmaskedBox
from clothseg.openimages.tables import (
    ClassName,
    MaskRow,
    choose_classes,
    class_file,
    parse_partitions,
    read_classes,
    read_credits,
    split_files,
)
from clothseg.openimages.write import Annotation, Photo, write_dataset
from clothseg.photos import read_photo

Progress = Callable[[Iterable[Any], str], Iterable[Any]]


def build_dataset(
    source: Path,
    out: Path,
    classes: Sequence[str],
    *,
    partitions: str | None = None,
    val_fraction: float | None = None,
    seed: int = 0,
    keep_empty: bool = False,
    limit: int | None = None,
    overwrite: bool = False,
    progress: Progress = lambda items, _: items,
) -> BuildSummary:
    """Make a COCO data set of the folder `source`, which holds Open Images V5 files under their published names.

    Same files, options and seed give the same bytes. The photos are copied unchanged.

    Args:
        source: a folder with `train/`, `train-masks/`, `train-annotations-*.csv` and so on.
        out: folder for the data set; appears whole or not at all.
        classes: names or ids; category ids are 1..N in this order.
        partitions: first hex digits of the photos wanted, as `f`, `0,f` or `0-3`; all without it.
        val_fraction: part of the photos of `train` for validation; without it, the source's `validation` is.
        seed: of the split by fraction.
        keep_empty: also take the photos on which no chosen class has even a box, as photos without annotations.
        limit: at most so many photos a split, the first by id of those that are there.
        overwrite: replace the data set at `out`.
        progress: wraps the photos of a split, with a word for it; for a progress bar.

    Returns:
        What was written, dropped and left out. Photos and masks that are missing or broken do not stop the conversion.

    Raises:
        ClothsegError: `out` is in the way.
        DataError: a table, folder, class or option is wrong, or a split would have no photo. Nothing is written then.
    """
    _check_out(source, out, overwrite=overwrite)
    if limit is not None and limit < 1:
        raise DataError(f"limit is {limit}, but must be 1 or more")
    if not source.is_dir():
        raise DataError(f"{source}: no such folder")
    chosen = choose_classes(classes, read_classes(class_file(source)))
    digits = parse_partitions(partitions)
    names = ["train"] if val_fraction is not None else ["train", "validation"]
    sources = [load_source(split_files(source, name), chosen, digits) for name in names]
    parts = plan_parts(sources, val_fraction=val_fraction, seed=seed, keep_empty=keep_empty, limit=limit)

    dropped = _repeated(parts, chosen)
    photos = {part.name: _convert(part, chosen, dropped, progress) for part in parts}
    _check_not_empty(photos, dropped, val_fraction)
    summary = _summarize(out, chosen, parts, photos, dropped)
    kept = [p.image_id for found in photos.values() for p in found]
    credit = {k: v for s in sources for k, v in read_credits(s.files.credits, kept).items()}
    split = {"partitions": partitions, "val_fraction": val_fraction, "seed": seed}
    options = split | {"keep_empty": keep_empty, "limit": limit}
    files = [s.files for s in sources]
    write_dataset(summary, photos, credit=credit, classes=chosen, files=files, options=options, overwrite=overwrite)
    return summary


def _check_out(source: Path, out: Path, *, overwrite: bool) -> None:
    """A folder is replaced only if it is a data set, and never one that holds the source."""
    refuse_existing(out, overwrite=overwrite)
    if source.resolve().is_relative_to(out.resolve()):
        raise ClothsegError(f"{out} holds the source {source}; choose another place for the data set")
    if out.exists() and not (out.is_dir() and ((out / "dataset.yaml").is_file() or not any(out.iterdir()))):
        raise ClothsegError(
            f"{out} is no data set (it has no dataset.yaml), so it is not replaced; choose another place"
        )


def _repeated(parts: Sequence[Part], chosen: Sequence[ClassName]) -> list[Dropped]:
    names = {c.mid: c.name for c in chosen}
    return [
        Dropped(part.name, "duplicate_row", row.image_id, row.box_id, names[row.mid], row.mask_path)
        for part in parts
        for row in part.source.repeated
        if row.image_id in set(part.photos)
    ]


def _convert(part: Part, chosen: Sequence[ClassName], dropped: list[Dropped], progress: Progress) -> list[Photo]:
    """The photos of a split with their annotations. What fails is added to `dropped`."""
    ids = {c.mid: number for number, c in enumerate(chosen, start=1)}
    names = {c.mid: c.name for c in chosen}
    files = part.source.files
    photos: list[Photo] = []

    def drop(image_id: str, row: MaskRow | None, reason: str, detail: object) -> None:
        box_id, name = (row.box_id, names[row.mid]) if row else ("", "")
        told = str(detail).replace(f"{files.source}/", "")
        dropped.append(Dropped(part.name, reason, image_id, box_id, name, told))

    with MaskArchive(files.source, files.split) as archive:
        for image_id in progress(part.photos, part.name):
            rows = part.source.rows.get(image_id, [])
            path = files.photos / f"{image_id}.jpg"
            try:
                height, width = read_photo(path).shape[:2]
            except PhotoError as error:
                reason = "unreadable_photo" if path.exists() else "missing_photo"
                for lost in rows or (None,):
                    drop(image_id, lost, reason, error)
                continue
            annotations: list[Annotation] = []
            for row in rows:
                try:
                    rle = _mask(archive, row.mask_path, (height, width))
                except DataError as error:
                    reason = "missing_mask" if isinstance(error, MissingMaskError) else "unreadable_mask"
                    drop(image_id, row, reason, error)
                    continue
                area = mask_area(rle)
                if area:
                    annotations.append(Annotation(ids[row.mid], rle, area, tight_box(rle), row.box_id, row.mask_path))
                else:
                    drop(image_id, row, "empty_mask", row.mask_path)
            # A photo that lost all its masks shows a garment: it is no negative.
            if annotations or not rows:
                photos.append(Photo(image_id, path, height, width, tuple(annotations)))
    return photos


def _mask(archive: MaskArchive, mask_path: str, size: tuple[int, int]) -> Rle:
    """The mask on the grid of its photo of `size` (height, width)."""
    data = archive.read(mask_path)
    try:
        return encode(resize_mask(read_mask_png(data), size))
    except DataError as error:
        raise DataError(f"{mask_path}: {error}") from error


def _check_not_empty(photos: dict[str, list[Photo]], dropped: Sequence[Dropped], val_fraction: float | None) -> None:
    for name, found in photos.items():
        if not any(photo.annotations for photo in found):
            lost = [d for d in dropped if d.split == name]
            why = f"all {len(lost)} mask rows were lost, the first: {lost[0].detail}" if lost else "no mask row fits"
            hint = "; a fraction of train can stand in for it (--val-fraction)"
            raise DataError(
                f"no photo with a mask of the chosen classes is left for {name}: {why}"
                + (hint if name == "val" and val_fraction is None else "")
            )


def _summarize(
    out: Path,
    chosen: Sequence[ClassName],
    parts: Sequence[Part],
    photos: dict[str, list[Photo]],
    dropped: Sequence[Dropped],
) -> BuildSummary:
    counts = {name: _count(found, chosen) for name, found in photos.items()}
    return BuildSummary(
        folder=out,
        classes=tuple(c.name for c in chosen),
        train=counts["train"],
        val=counts["val"],
        dropped=tuple(sorted(dropped, key=lambda d: (d.split, d.image_id, d.box_id, d.reason))),
        unmasked=tuple(
            sorted(_unmasked(parts, chosen, photos), key=lambda b: (b.split, b.image_id, b.class_name, b.box))
        ),
    )


def _unmasked(
    parts: Sequence[Part], chosen: Sequence[ClassName], photos: dict[str, list[Photo]]
) -> Iterator[UnmaskedBox]:
    names = {c.mid: c.name for c in chosen}
    split_of = {p.image_id: name for name, found in photos.items() for p in found}
    # One source may feed both parts; a photo in neither counts for the part that bears the source's name.
    for part in {id(part.source): part for part in reversed(parts)}.values():
        source = part.source
        rows = [row for of_photo in source.rows.values() for row in of_photo]
        for box in boxes_without_mask(source.boxes, rows):
            if box.image_id in source.present:
                kept = split_of.get(box.image_id)
                yield UnmaskedBox(
                    kept or part.name, box.image_id, names[box.mid], box.box, box.is_group, kept is not None
                )


def _count(photos: Sequence[Photo], chosen: Sequence[ClassName]) -> SplitCounts:
    of_class = {c.name: [sum(a.category == n for a in p.annotations) for p in photos] for n, c in enumerate(chosen, 1)}
    return SplitCounts(
        photos=len(photos),
        negatives=sum(not p.annotations for p in photos),
        masks=sum(len(p.annotations) for p in photos),
        class_photos={name: sum(n > 0 for n in counts) for name, counts in of_class.items()},
        class_masks={name: sum(counts) for name, counts in of_class.items()},
    )
