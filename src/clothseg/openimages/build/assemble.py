"""What came of all photos, put together: who goes to train and who to validation, and what is to be told."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clothseg.dataset.duplicates import near_duplicates
from clothseg.dataset.split import split_photos
from clothseg.openimages.archives import MaskArchive
from clothseg.openimages.build.convert import Converted
from clothseg.openimages.build.options import BuildOptions
from clothseg.openimages.build.plan import Source
from clothseg.openimages.build.summary import BuildSummary, Dropped, PolygonCounts, Speed, SplitCounts, UnmaskedBox
from clothseg.openimages.build.work_folder import read_chunk
from clothseg.openimages.classes import ClassName
from clothseg.openimages.tables import Box, Flags


@dataclass(frozen=True, slots=True)
class PlannedPhoto:
    """A photo of the data set, without its annotations. `masks` and `regions` count by category id."""

    image_id: str
    height: int
    width: int
    changed: tuple[str, ...]
    masks: Mapping[int, int]
    regions: Mapping[int, int]
    hash: str


@dataclass(frozen=True)
class DatasetPlan:
    """All that is known before the data set is written.

    Attributes:
        chunks: the source and file of each chunk, in order.
        photos: of `train` and of `val`, by image id, in order.
        counts: of both.
        dropped, unmasked, unnamed, boxless: see `BuildSummary`.
        near: pairs of near-duplicate photos, which the split kept together.
        polygons: how well polygons draw the masks, or None.
    """

    chunks: Sequence[tuple[Source, Path]]
    photos: Mapping[str, Mapping[str, PlannedPhoto]]
    counts: Mapping[str, SplitCounts]
    dropped: Sequence[Dropped]
    unmasked: Sequence[UnmaskedBox]
    unnamed: Sequence[str]
    boxless: int
    near: Sequence[Sequence[str]]
    polygons: PolygonCounts | None

    def summary(
        self, out: Path, chosen: Sequence[ClassName], included: Mapping[str, Sequence[ClassName]], speed: Speed
    ) -> BuildSummary:
        """What the caller is told."""
        changed = Counter(what for found in self.photos.values() for p in found.values() for what in p.changed)
        return BuildSummary(
            folder=out,
            classes=tuple(c.name for c in chosen),
            included={c.name: tuple(k.name for k in included[c.mid]) for c in chosen},
            train=self.counts["train"],
            val=self.counts["val"],
            dropped=tuple(self.dropped),
            unmasked=tuple(self.unmasked),
            unnamed=tuple(self.unnamed),
            boxless=self.boxless,
            near_duplicates=tuple((pair[0], pair[1]) for pair in self.near),
            changed=dict(sorted(changed.items())),
            polygons=self.polygons,
            speed=speed,
        )


def assemble(
    sources: Sequence[Source],
    chunks: Sequence[tuple[Source, Path]],
    chosen: Sequence[ClassName],
    included: Mapping[str, Sequence[ClassName]],
    options: BuildOptions,
) -> DatasetPlan:
    """Read what came of the chunks and share out the photos. The arguments are those of `build_dataset`.

    Raises:
        DataError: a photo alone cannot be split.
    """
    names = {m.mid: c.name for c in chosen for m in (c, *included[c.mid])}
    kept: dict[str, dict[str, PlannedPhoto]] = {"train": {}, "val": {}}
    lost: list[tuple[Source, str, tuple[str, str, str, str]]] = []
    unmasked: list[tuple[Source, str, tuple[str, Box, Flags]]] = []
    ious: list[float] = []
    boxless = 0
    for source, path in chunks:
        for photo in read_chunk(path):
            if photo.kept:
                kept[source.name][photo.image_id] = _light(photo)
                boxless += photo.boxless
                ious += [a["polygon_iou"] for a in photo.annotations if "polygon_iou" in a]
            lost += [(source, photo.image_id, row) for row in photo.dropped]
            unmasked += [(source, photo.image_id, box) for box in photo.unmasked]
    near: list[list[str]] = []
    if options.val_fraction is not None and len(kept["train"]) > 1:
        near = near_duplicates({p.image_id: p.hash for p in kept["train"].values()})
        kept = _split(kept["train"], near, options.val_fraction, options.seed)
    if options.limit is not None:
        kept = {name: {i: found[i] for i in sorted(found)[: options.limit]} for name, found in kept.items()}
    split_of = {image_id: name for name, found in kept.items() for image_id in found}

    dropped = [
        Dropped(split_of.get(image_id, source.name), reason, image_id, box_id, names.get(mid, ""), detail)
        for source, image_id, (reason, box_id, mid, detail) in lost
    ]
    for source in sources:
        for row in (*source.masks.broken, *source.boxes.broken):
            dropped.append(
                Dropped(split_of.get(row.image_id, source.name), "broken_row", row.image_id, "", "", str(row))
            )
    boxes = [*_told_boxes(unmasked, names, split_of), *_boxes_elsewhere(sources, names)]
    return DatasetPlan(
        chunks=chunks,
        photos=kept,
        counts={name: _count(found.values(), chosen) for name, found in kept.items()},
        dropped=sorted(dropped, key=lambda d: (d.split, d.image_id, d.box_id, d.reason, d.detail)),
        unmasked=sorted(boxes, key=lambda b: (b.split, b.image_id, b.class_name, b.box)),
        unnamed=[name for source in sources for name in _unnamed(source, names)],
        boxless=boxless,
        near=near,
        polygons=PolygonCounts(len(ious), min(ious), sum(ious) / len(ious)) if ious else None,
    )


def _light(photo: Converted) -> PlannedPhoto:
    counts: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
    for annotation in photo.annotations:
        counts[annotation["iscrowd"]][annotation["category_id"]] += 1
    return PlannedPhoto(
        photo.image_id, photo.height, photo.width, tuple(photo.changed), dict(counts[0]), dict(counts[1]), photo.hash
    )


def _split(
    photos: Mapping[str, PlannedPhoto], near: Iterable[Sequence[str]], fraction: float, seed: int
) -> dict[str, dict[str, PlannedPhoto]]:
    labels = {image_id: [str(n) for n in photo.masks] for image_id, photo in photos.items()}
    train, val = split_photos(labels, fraction, seed, near)
    return {name: {i: photos[i] for i in sorted(ids)} for name, ids in (("train", train), ("val", val))}


def _told_boxes(
    boxes: Iterable[tuple[Source, str, tuple[str, Box, Flags]]], names: Mapping[str, str], split_of: Mapping[str, str]
) -> Iterable[UnmaskedBox]:
    for source, image_id, (mid, box, flags) in boxes:
        if image_id in source.present:
            kept = split_of.get(image_id)
            yield UnmaskedBox(
                kept or source.name,
                image_id,
                names[mid],
                box,
                flags,
                kept is not None,
            )


def _boxes_elsewhere(sources: Sequence[Source], names: Mapping[str, str]) -> Iterable[UnmaskedBox]:
    """On photos that are there and have no mask of a chosen class, so that they were not converted."""
    for source in sources:
        converted = set(source.wanted)
        for image_id in source.boxes.photos:
            if image_id in source.present and image_id not in converted:
                for box in () if image_id in source.masks.photos else source.boxes.of(image_id):
                    yield UnmaskedBox(source.name, image_id, names[box.mid], box.box, box.flags, False)


def _unnamed(source: Source, names: Mapping[str, str]) -> list[str]:
    """Masks of chosen classes in the zips that no row names."""
    digits = {image_id[0] for image_id in source.wanted}
    short = {mid.replace("/", "") for mid in names}
    with MaskArchive(source.files.source, source.files.split) as archive:
        found = archive.unnamed(digits, set(source.masks.frame["MaskPath"]))
    return [name for name in found if name[17:-13] in short or "/" in name or "\\" in name]


def _count(photos: Iterable[PlannedPhoto], chosen: Sequence[ClassName]) -> SplitCounts:
    photos = list(photos)
    numbered = list(enumerate((c.name for c in chosen), start=1))
    return SplitCounts(
        photos=len(photos),
        negatives=sum(not p.masks for p in photos),
        masks=sum(sum(p.masks.values()) for p in photos),
        regions=sum(sum(p.regions.values()) for p in photos),
        class_photos={name: sum(n in p.masks for p in photos) for n, name in numbered},
        class_masks={name: sum(p.masks.get(n, 0) for p in photos) for n, name in numbered},
        class_regions={name: sum(p.regions.get(n, 0) for p in photos) for n, name in numbered},
    )
