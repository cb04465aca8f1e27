"""Builds a COCO dataset from Open Images files: select photos, convert them, split them, write the files."""

from collections.abc import Sequence
from pathlib import Path

from clothseg.errors import ClothsegError, DataError
from clothseg.files import require_absent
from clothseg.openimages.build.assemble import DatasetPlan, assemble
from clothseg.openimages.build.convert import Settings
from clothseg.openimages.build.options import BuildOptions
from clothseg.openimages.build.plan import Source, check_apart, folder_of, included_classes, load_source, pool_for
from clothseg.openimages.build.run import Progress, convert_all
from clothseg.openimages.build.summary import BuildSummary
from clothseg.openimages.build.work_folder import WorkFolder
from clothseg.openimages.build.write import write_dataset
from clothseg.openimages.classes import ClassName, choose_classes, read_classes
from clothseg.openimages.hierarchy import read_hierarchy
from clothseg.openimages.layout import class_file, hierarchy_file, split_files
from clothseg.openimages.tables import parse_partitions

_DEFAULTS = BuildOptions()


def build_dataset(
    source: Path,
    out: Path,
    classes: Sequence[str],
    options: BuildOptions = _DEFAULTS,
    *,
    progress: Progress = lambda items, _, __: items,
) -> BuildSummary:
    """Builds a COCO dataset from the folder `source`, which holds Open Images V5 files under their published names.

    The same files, options and seed give byte-identical output, also after an interruption. Finished chunks are stored
    in the folder `.NAME.building` beside `out`, and the next build resumes from them. Missing or broken photos, masks
    and rows do not stop the build; the summary lists them.

    Args:
        source: a folder with `train/`, `train-masks/`, `train-annotations-*.csv` and so on.
        out: folder of the dataset. It appears only when the dataset is complete.
        classes: class names or ids. The category ids are 1 to N in this order.
        options: all other options.
        progress: wraps the iterable of converted photos and returns it, for a progress bar. It also receives a label
            and the number of photos.

    Returns:
        The number of photos and masks written, and every row that was dropped.

    Raises:
        ClothsegError: `out` exists and cannot be replaced, or another build is writing it.
        DataError: a table, folder, class or option is invalid, or a split would have no photo. Nothing is written.
    """
    _check_out(source, out, overwrite=options.overwrite)
    known = read_classes(class_file(folder_of(source)))
    chosen = choose_classes(classes, known)
    included = _included(source, chosen, known, include_children=options.include_children)
    categories = {m.mid: n for n, c in enumerate(chosen, start=1) for m in (c, *included[c.mid])}
    sources = _sources(source, list(categories), options)

    def settings(of: Source) -> Settings:
        return Settings(
            source=source,
            split=of.files.split,
            photos=of.files.photos,
            categories=categories,
            names={c.mid: c.name for c in known if c.mid in categories},
            boxes_without_mask=options.boxes_without_mask,
            max_size=options.max_size,
            upright=options.upright,
            polygons=options.polygons,
            hashed=options.val_fraction is not None,
        )

    work = WorkFolder(out)
    with work.open({"source": str(source.resolve()), "max_size": options.max_size, "upright": options.upright}):
        try:
            speed, chunks = convert_all(sources, settings, work, options, progress)
            plan = assemble(sources, chunks, chosen, included, options)
            summary = plan.summary(out, chosen, included, speed)
            _check_not_empty(plan, options.val_fraction)
            write_dataset(work.data, plan, summary, sources=sources, chosen=chosen, options=options.as_dict())
            require_absent(out, overwrite=options.overwrite)
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


def _sources(source: Path, mids: Sequence[str], options: BuildOptions) -> list[Source]:
    digits = parse_partitions(options.partitions)
    splits = {"train": "train"} if options.val_fraction is not None else {"train": "train", "val": "validation"}
    pool = pool_for(options.limit, options.val_fraction)
    sources = [
        load_source(name, split_files(source, split), mids, digits, keep_empty=options.keep_empty, limit=pool)
        for name, split in splits.items()
    ]
    check_apart(sources)
    return sources


def _check_out(source: Path, out: Path, *, overwrite: bool) -> None:
    """Raises ClothsegError unless `out` is absent or is a dataset that may be replaced and does not hold the source."""
    require_absent(out, overwrite=overwrite)
    if source.resolve().is_relative_to(out.resolve()):
        raise ClothsegError(f"{out} holds the source {source}; choose another folder for the dataset")
    if out.exists() and not (out.is_dir() and ((out / "dataset.yaml").is_file() or not any(out.iterdir()))):
        raise ClothsegError(
            f"{out} is not a dataset (it has no dataset.yaml) and is not replaced; choose another folder"
        )


def _check_not_empty(plan: DatasetPlan, val_fraction: float | None) -> None:
    for name in ("train", "val"):
        if plan.counts[name].masks == 0:
            lost = [d for d in plan.dropped if d.split == name]
            reason = (
                f"all {len(lost)} mask rows were dropped, the first: {lost[0].detail}"
                if lost
                else "no mask row matches"
            )
            hint = "; use --val-fraction to take validation photos from train"
            raise DataError(
                f"{name} has no photo with a mask of the chosen classes: {reason}"
                + (hint if name == "val" and val_fraction is None else "")
            )
