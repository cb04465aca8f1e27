"""All converted photos together: the split into train and val, and what the summary lists."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from clothseg.dataset.duplicates import near_duplicates
from clothseg.dataset.split import split_photos
from clothseg.instances import is_box_only
from clothseg.openimages.archives import MaskArchive
from clothseg.openimages.build.convert import ConvertedPhoto
from clothseg.openimages.build.options import BuildOptions
from clothseg.openimages.build.plan import SplitSource
from clothseg.openimages.build.summary import BoxWithoutMask, BuildSummary, Dropped, PolygonCounts, Speed, SplitCounts
from clothseg.openimages.build.work_folder import read_chunk
from clothseg.openimages.classes import ClassName
from clothseg.openimages.tables import Box, Flags


@dataclass(frozen=True, slots=True)
class PlannedPhoto:
    """A photo of the dataset without its annotations.

    Attributes:
        image_id: of Open Images.
        height, width: in pixels.
        changed: what was done to it.
        masks, regions, boxes: their number by category id.
        hash: perceptual hash, or empty.
    """

    image_id: str
    height: int
    width: int
    changed: tuple[str, ...]
    masks: Mapping[int, int]
    regions: Mapping[int, int]
    boxes: Mapping[int, int]
    hash: str


@dataclass(frozen=True)
class DatasetPlan:
    """Everything that is known before the dataset is written.

    Attributes:
        chunks: the source and result file of each chunk, in order.
        photos: those of each split (`train`, `val`, and `test` if it is asked for), by image id, in order.
        counts: of each split.
        dropped, boxes_without_mask, unnamed_masks, masks_without_box, near_duplicates, polygons: see `BuildSummary`.
    """

    chunks: Sequence[tuple[SplitSource, Path]]
    photos: Mapping[str, Mapping[str, PlannedPhoto]]
    counts: Mapping[str, SplitCounts]
    dropped: Sequence[Dropped]
    boxes_without_mask: Sequence[BoxWithoutMask]
    unnamed_masks: Sequence[str]
    masks_without_box: int
    near_duplicates: Sequence[Sequence[str]]
    polygons: PolygonCounts | None

    def summary(
        self, out: Path, classes: Sequence[ClassName], included: Mapping[str, Sequence[ClassName]], speed: Speed
    ) -> BuildSummary:
        """The result for the caller of `build_dataset`."""
        changed = Counter(what for photos in self.photos.values() for p in photos.values() for what in p.changed)
        return BuildSummary(
            folder=out,
            classes=tuple(c.name for c in classes),
            included={c.name: tuple(k.name for k in included[c.mid]) for c in classes},
            train=self.counts["train"],
            val=self.counts["val"],
            test=self.counts.get("test"),
            dropped=tuple(self.dropped),
            boxes_without_mask=tuple(self.boxes_without_mask),
            unnamed_masks=tuple(self.unnamed_masks),
            masks_without_box=self.masks_without_box,
            near_duplicates=tuple((pair[0], pair[1]) for pair in self.near_duplicates),
            changed=dict(sorted(changed.items())),
            polygons=self.polygons,
            speed=speed,
        )


@dataclass
class _Results:
    """The content of all chunks, without annotations.

    `dropped` and `boxes` have the split of the source and the image id before the values of `ConvertedPhoto`.
    """

    photos: dict[str, dict[str, PlannedPhoto]]
    dropped: list[tuple[str, str, tuple[str, str, str, str]]] = field(default_factory=list)
    boxes: list[tuple[SplitSource, str, tuple[str, Box, Flags]]] = field(default_factory=list)
    ious: list[float] = field(default_factory=list)
    masks_without_box: int = 0


def assemble(
    sources: Sequence[SplitSource],
    chunks: Sequence[tuple[SplitSource, Path]],
    classes: Sequence[ClassName],
    included: Mapping[str, Sequence[ClassName]],
    options: BuildOptions,
) -> DatasetPlan:
    """Reads the results of the chunks and splits the photos.

    Args:
        sources: the splits of Open Images.
        chunks: from `convert_all`.
        classes: in the order of their category ids.
        included: from `included_classes`.
        options: of the build.

    Raises:
        DataError: there are too few photos to split.
    """
    names = {m.mid: c.name for c in classes for m in (c, *included[c.mid])}
    results = _read_results(sources, chunks)
    photos = results.photos
    near: list[list[str]] = []
    if options.val_fraction is not None and len(photos["train"]) > 1:
        near = near_duplicates({p.image_id: p.hash for p in photos["train"].values()})
        photos |= _split(photos["train"], near, options.val_fraction, options.seed)
    if options.limit is not None:
        photos = {name: {i: of[i] for i in sorted(of)[: options.limit]} for name, of in photos.items()}
    split_of = {image_id: name for name, of in photos.items() for image_id in of}
    dropped = [*_dropped(results, names, split_of), *_broken_rows(sources, split_of)]
    boxes = [*_boxes_on_converted(results, names, split_of), *_boxes_elsewhere(sources, names)]
    ious = results.ious
    return DatasetPlan(
        chunks=chunks,
        photos=photos,
        counts={name: _count(of.values(), classes) for name, of in photos.items()},
        dropped=sorted(dropped, key=lambda d: (d.split, d.image_id, d.box_id, d.reason, d.detail)),
        boxes_without_mask=sorted(boxes, key=lambda b: (b.split, b.image_id, b.class_name, b.box)),
        unnamed_masks=[name for source in sources for name in _unnamed_masks(source, names)],
        masks_without_box=results.masks_without_box,
        near_duplicates=near,
        polygons=PolygonCounts(len(ious), min(ious), sum(ious) / len(ious)) if ious else None,
    )


def _read_results(sources: Sequence[SplitSource], chunks: Sequence[tuple[SplitSource, Path]]) -> _Results:
    results = _Results({name: {} for name in ("train", "val", *(s.name for s in sources))})
    for source, path in chunks:
        for photo in read_chunk(path):
            if photo.kept:
                results.photos[source.name][photo.image_id] = _without_annotations(photo)
                results.masks_without_box += photo.masks_without_box
                results.ious += [a["polygon_iou"] for a in photo.annotations if "polygon_iou" in a]
            results.dropped += [(source.name, photo.image_id, row) for row in photo.dropped]
            results.boxes += [(source, photo.image_id, box) for box in photo.boxes_without_mask]
    return results


def _without_annotations(photo: ConvertedPhoto) -> PlannedPhoto:
    masks, regions, boxes = Counter[int](), Counter[int](), Counter[int]()
    for annotation in photo.annotations:
        counts = regions if annotation["iscrowd"] else boxes if is_box_only(annotation) else masks
        counts[annotation["category_id"]] += 1
    changed = tuple(photo.changed)
    return PlannedPhoto(
        photo.image_id, photo.height, photo.width, changed, dict(masks), dict(regions), dict(boxes), photo.hash
    )


def _split(
    photos: Mapping[str, PlannedPhoto], near: Iterable[Sequence[str]], fraction: float, seed: int
) -> dict[str, dict[str, PlannedPhoto]]:
    labels = {image_id: [str(n) for n in {**photo.masks, **photo.boxes}] for image_id, photo in photos.items()}
    train, val = split_photos(labels, fraction, seed, near)
    return {name: {i: photos[i] for i in sorted(ids)} for name, ids in (("train", train), ("val", val))}


def _dropped(results: _Results, names: Mapping[str, str], split_of: Mapping[str, str]) -> Iterator[Dropped]:
    for split, image_id, (reason, box_id, mid, detail) in results.dropped:
        yield Dropped(split_of.get(image_id, split), reason, image_id, box_id, names.get(mid, ""), detail)


def _broken_rows(sources: Sequence[SplitSource], split_of: Mapping[str, str]) -> Iterator[Dropped]:
    for source in sources:
        for row in source.broken:
            yield Dropped(split_of.get(row.image_id, source.name), "broken_row", row.image_id, "", "", str(row))


def _boxes_on_converted(
    results: _Results, names: Mapping[str, str], split_of: Mapping[str, str]
) -> Iterator[BoxWithoutMask]:
    for source, image_id, (mid, box, flags) in results.boxes:
        if image_id in source.present:
            split = split_of.get(image_id)
            yield BoxWithoutMask(split or source.name, image_id, names[mid], box, flags, split is not None)


def _boxes_elsewhere(sources: Sequence[SplitSource], names: Mapping[str, str]) -> Iterator[BoxWithoutMask]:
    """Boxes on photos that exist but were not converted, because they have no mask of a selected class."""
    for source in sources:
        converted = set(source.selected)
        for image_id in source.boxes.photos:
            if image_id in source.present and image_id not in converted and image_id not in source.masks.photos:
                for box in source.boxes.of(image_id):
                    yield BoxWithoutMask(source.name, image_id, names[box.mid], box.box, box.flags, False)


def _unnamed_masks(source: SplitSource, names: Mapping[str, str]) -> list[str]:
    """Masks of selected classes in the zips without a row in the mask list."""
    digits = {image_id[0] for image_id in source.selected}
    short = {mid.replace("/", "") for mid in names}
    with MaskArchive(source.files.source, source.files.split) as archive:
        unnamed = archive.unnamed(digits, set(source.masks.frame["MaskPath"]))
    # a mask is called IMAGE_CLASS_BOX.png, with 16 digits, the class id and 8 digits
    return [name for name in unnamed if name[17:-13] in short or "/" in name or "\\" in name]


def _count(photos: Iterable[PlannedPhoto], classes: Sequence[ClassName]) -> SplitCounts:
    photos = list(photos)
    numbered = list(enumerate((c.name for c in classes), start=1))
    return SplitCounts(
        photos=len(photos),
        negatives=sum(not (p.masks or p.boxes) for p in photos),
        masks=sum(sum(p.masks.values()) for p in photos),
        regions=sum(sum(p.regions.values()) for p in photos),
        boxes=sum(sum(p.boxes.values()) for p in photos),
        class_photos={name: sum(n in p.masks or n in p.boxes for p in photos) for n, name in numbered},
        class_masks={name: sum(p.masks.get(n, 0) for p in photos) for n, name in numbered},
        class_regions={name: sum(p.regions.get(n, 0) for p in photos) for n, name in numbered},
        class_boxes={name: sum(p.boxes.get(n, 0) for p in photos) for n, name in numbered},
    )
