"""Open Images -> a COCO data set, by the straight path: choose, convert each photo, share out, write."""

from collections.abc import Sequence
from pathlib import Path

from clothseg.errors import ClothsegError, DataError
from clothseg.files import require_absent
from clothseg.openimages.build.assemble import DatasetPlan, assemble
from clothseg.openimages.build.convert import Settings, Unmasked
from clothseg.openimages.build.plan import Source, check_apart, folder_of, included_classes, load_source, pool_for
from clothseg.openimages.build.run import Progress, convert_all
from clothseg.openimages.build.summary import BuildSummary
from clothseg.openimages.build.work_folder import WorkFolder
from clothseg.openimages.build.write import write_dataset
from clothseg.openimages.classes import ClassName, choose_classes, read_classes
from clothseg.openimages.hierarchy import read_hierarchy
from clothseg.openimages.layout import class_file, hierarchy_file, split_files
from clothseg.openimages.tables import parse_partitions


def build_dataset(
    source: Path,
    out: Path,
    classes: Sequence[str],
    *,
    include_children: bool = False,
    partitions: str | None = None,
    val_fraction: float | None = None,
    seed: int = 0,
    keep_empty: bool = False,
    unmasked: Unmasked = "crowd",
    max_size: int | None = None,
    upright: bool = False,
    polygons: float | None = None,
    limit: int | None = None,
    overwrite: bool = False,
    workers: int = 1,
    progress: Progress = lambda items, _, __: items,
) -> BuildSummary:
    """Make a COCO data set of the folder `source`, which holds Open Images V5 files under their published names.

    Same files, options and seed give the same bytes, also after an interruption: what was done is kept in the folder
    `.NAME.building` beside `out`, and the next build goes on from there.

    Args:
        source: a folder with `train/`, `train-masks/`, `train-annotations-*.csv` and so on.
        out: folder for the data set; appears whole or not at all.
        classes: names or ids; category ids are 1..N in this order.
        include_children: a class takes in all kinds below it in the class tree.
        partitions: first hex digits of the photos wanted, as `f`, `0,f` or `0-3`; all without it.
        val_fraction: part of the photos of `train` for validation, each class by this part, near-duplicate photos on
            one side; without it, the source's `validation` is.
        seed: of the split by fraction.
        keep_empty: also take the photos on which no chosen class has even a box, as photos without annotations.
        unmasked: what becomes of boxes of chosen classes without mask, and of boxes that stand for a group: regions
            with `iscrowd` 1; left out (`ignore`); or their photo is left out (`drop`).
        max_size: photos are made smaller until their longer side has so many pixels, and masks with them.
        upright: turn photos and masks together by the image list's rotation.
        polygons: write polygons instead of RLE, moved by at most so many pixels; 0 draws the very same masks.
        limit: at most so many photos a split, the first by id of those that are there.
        overwrite: replace the data set at `out`.
        workers: processes that convert photos. With more than one, a program must start from `if __name__ ==
            "__main__"`, as `multiprocessing` wants it.
        progress: wraps the converted photos of a split, with a word for it and their number; for a progress bar.

    Returns:
        What was written, dropped and left out. Photos, masks and rows that are missing or broken do not stop the
        conversion.

    Raises:
        ClothsegError: `out` is in the way, or is being made by another build.
        DataError: a table, folder, class or option is wrong, or a split would have no photo. Nothing is written then.
    """
    _check_out(source, out, overwrite=overwrite)
    _check_numbers(limit=limit, max_size=max_size, workers=workers, polygons=polygons, val_fraction=val_fraction)
    known = read_classes(class_file(folder_of(source)))
    chosen = choose_classes(classes, known)
    included = _included(source, chosen, known, include_children=include_children)
    categories = {m.mid: n for n, c in enumerate(chosen, start=1) for m in (c, *included[c.mid])}
    sources = _sources(source, list(categories), partitions, val_fraction, keep_empty=keep_empty, limit=limit)
    options = {
        "include_children": include_children,
        "partitions": partitions,
        "val_fraction": val_fraction,
        "seed": seed,
        "keep_empty": keep_empty,
        "unmasked": unmasked,
        "max_size": max_size,
        "upright": upright,
        "polygons": polygons,
        "limit": limit,
    }

    def settings(of: Source) -> Settings:
        return Settings(
            source=source,
            split=of.files.split,
            photos=of.files.photos,
            categories=categories,
            names={c.mid: c.name for c in known if c.mid in categories},
            unmasked=unmasked,
            max_size=max_size,
            upright=upright,
            polygons=polygons,
            hashed=val_fraction is not None,
        )

    work = WorkFolder(out)
    with work.open({"source": str(source.resolve()), "max_size": max_size, "upright": upright}):
        try:
            speed, chunks = convert_all(sources, settings, work, workers, progress)
            plan = assemble(sources, chunks, chosen, included, val_fraction=val_fraction, seed=seed, limit=limit)
            summary = plan.summary(out, chosen, included, speed)
            _check_not_empty(plan, val_fraction)
            write_dataset(work.data, plan, summary, sources=sources, chosen=chosen, options=options)
            require_absent(out, overwrite=overwrite)
        except ClothsegError:
            work.remove()
            raise
        work.publish()
    return summary


def _included(
    source: Path, chosen: Sequence[ClassName], known: Sequence[ClassName], *, include_children: bool
) -> dict[str, list[ClassName]]:
    if not include_children:
        return {c.mid: [] for c in chosen}
    return included_classes(chosen, known, read_hierarchy(hierarchy_file(source)))


def _sources(
    source: Path,
    mids: Sequence[str],
    partitions: str | None,
    val_fraction: float | None,
    *,
    keep_empty: bool,
    limit: int | None,
) -> list[Source]:
    digits = parse_partitions(partitions)
    splits = {"train": "train"} if val_fraction is not None else {"train": "train", "val": "validation"}
    pool = pool_for(limit, val_fraction)
    sources = [
        load_source(name, split_files(source, split), mids, digits, keep_empty=keep_empty, limit=pool)
        for name, split in splits.items()
    ]
    check_apart(sources)
    return sources


def _check_out(source: Path, out: Path, *, overwrite: bool) -> None:
    """A folder is replaced only if it is a data set, and never one that holds the source."""
    require_absent(out, overwrite=overwrite)
    if source.resolve().is_relative_to(out.resolve()):
        raise ClothsegError(f"{out} holds the source {source}; choose another place for the data set")
    if out.exists() and not (out.is_dir() and ((out / "dataset.yaml").is_file() or not any(out.iterdir()))):
        raise ClothsegError(
            f"{out} is no data set (it has no dataset.yaml), so it is not replaced; choose another place"
        )


def _check_numbers(
    *, limit: int | None, max_size: int | None, workers: int, polygons: float | None, val_fraction: float | None
) -> None:
    if limit is not None and limit < 1:
        raise DataError(f"limit is {limit}, but must be 1 or more")
    if max_size is not None and max_size < 1:
        raise DataError(f"the largest size is {max_size}, but must be 1 pixel or more")
    if workers < 1:
        raise DataError(f"workers is {workers}, but must be 1 or more")
    if polygons is not None and not 0 <= polygons <= 100:
        raise DataError(f"the polygons' tolerance is {polygons}, but must lie between 0 and 100 pixels")
    if val_fraction is not None and not 0 < val_fraction < 1:
        raise DataError(f"the validation fraction is {val_fraction}, but must lie above 0 and below 1")


def _check_not_empty(plan: DatasetPlan, val_fraction: float | None) -> None:
    for name in ("train", "val"):
        if plan.counts[name].masks == 0:
            lost = [d for d in plan.dropped if d.split == name]
            why = f"all {len(lost)} mask rows were lost, the first: {lost[0].detail}" if lost else "no mask row fits"
            hint = "; a fraction of train can stand in for it (--val-fraction)"
            raise DataError(
                f"no photo with a mask of the chosen classes is left for {name}: {why}"
                + (hint if name == "val" and val_fraction is None else "")
            )
