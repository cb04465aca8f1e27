"""Open Images to a COCO dataset: plan, convert each photo, split, write."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from clothseg.errors import ClothsegError, DataError
from clothseg.files import require_absent
from clothseg.openimages.build.assemble import DatasetPlan, assemble
from clothseg.openimages.build.convert import ConvertSettings
from clothseg.openimages.build.options import BuildOptions
from clothseg.openimages.build.plan import SplitSource, included_classes, load_sources
from clothseg.openimages.build.run import convert_all
from clothseg.openimages.build.summary import BuildSummary
from clothseg.openimages.build.work_folder import WorkFolder
from clothseg.openimages.build.write import write_dataset
from clothseg.openimages.classes import ClassName, choose_classes, read_classes
from clothseg.openimages.hierarchy import read_hierarchy
from clothseg.openimages.layout import class_file, hierarchy_file
from clothseg.progress import ProgressBar, no_progress
from clothseg.suggestions import near_path

DEFAULTS = BuildOptions()


def build_dataset(
    source: Path | str,
    out: Path | str,
    classes: Sequence[str],
    options: BuildOptions = DEFAULTS,
    *,
    progress: ProgressBar = no_progress,
) -> BuildSummary:
    """Builds a COCO dataset from the folder `source`, which has Open Images V5 files under their published names.

    The same files, options and seed give the same bytes, also after an interruption: finished work stays in the folder
    `.NAME.building` beside `out`, and the next build resumes there. Missing or broken photos, masks and rows do not
    stop the build; the summary lists them.

    Args:
        source: a folder with `train/`, `train-masks/`, `train-annotations-*.csv` and so on.
        out: folder for the dataset. It appears when it is complete.
        classes: names or ids. Category ids are 1..N in this order.
        options: what to convert, and how.
        progress: wraps the converted photos, for a progress bar.

    Returns:
        What was written, dropped and left out.

    Raises:
        ClothsegError: `out` cannot be replaced, or another build is writing it.
        DataError: a table, folder or class is wrong, or a split would have no photo. Nothing is written then.
    """
    source, out = Path(source), Path(out)
    _check_out(source, out, overwrite=options.overwrite)
    if not source.is_dir():
        raise DataError(f"{source}: no such folder{near_path(source)}")
    known = read_classes(class_file(source))
    selected = choose_classes(classes, known)
    included = _included(source, selected, known, options)
    categories = {m.mid: number for number, c in enumerate(selected, start=1) for m in (c, *included[c.mid])}
    sources = load_sources(source, selected, included, options)
    names = {c.mid: c.name for c in known if c.mid in categories}
    settings = {of.name: _settings(of, categories, names, options) for of in sources}
    work = WorkFolder(out)
    facts = {"source": str(source.resolve()), "max_size": options.max_size, "upright": options.upright}
    with work.open(facts):
        try:
            speed, chunks = convert_all(sources, settings, work, options, progress)
            plan = assemble(sources, chunks, selected, included, options)
            _check_not_empty(plan, options)
            summary = plan.summary(out, selected, included, speed)
            write_dataset(work.data, plan, summary, sources=sources, classes=selected, options=options.as_dict())
            require_absent(out, overwrite=options.overwrite)
        except ClothsegError:
            work.remove()
            raise
        work.publish()
    return summary


def _included(
    source: Path, selected: Sequence[ClassName], known: Sequence[ClassName], options: BuildOptions
) -> dict[str, list[ClassName]]:
    if not options.include_children:
        return {c.mid: [] for c in selected}
    return included_classes(selected, known, read_hierarchy(hierarchy_file(source)))


def _settings(
    of: SplitSource, categories: Mapping[str, int], names: Mapping[str, str], options: BuildOptions
) -> ConvertSettings:
    return ConvertSettings(
        source=of.files.source,
        split=of.files.split,
        photos=of.files.photos,
        categories=categories,
        names=names,
        boxes_without_mask=options.boxes_without_mask,
        max_size=options.max_size,
        upright=options.upright,
        polygons=options.polygons,
        hashed=options.val_fraction is not None and of.name == "train",
    )


def _check_out(source: Path, out: Path, *, overwrite: bool) -> None:
    """A folder is replaced only if it is a dataset, and never if the source is in it."""
    require_absent(out, overwrite=overwrite)
    if source.resolve().is_relative_to(out.resolve()):
        raise ClothsegError(f"{out} contains the source {source}; choose another folder for the dataset")
    if out.exists() and not (out.is_dir() and ((out / "dataset.yaml").is_file() or not any(out.iterdir()))):
        raise ClothsegError(
            f"{out} is not a dataset (it has no dataset.yaml) and is not replaced; choose another folder"
        )


def _check_not_empty(plan: DatasetPlan, options: BuildOptions) -> None:
    hints = {
        "val": "; use --val-fraction to take validation photos from train" if options.val_fraction is None else "",
        "test": "; leave out --include-test",
    }
    for name, counts in plan.counts.items():
        if counts.masks == 0:
            dropped = [d for d in plan.dropped if d.split == name]
            if dropped:
                reason = f"all {len(dropped)} mask rows were dropped, the first: {dropped[0].detail}"
            else:
                reason = "no mask row matches"
            raise DataError(f"{name} has no photo with a mask of these classes: {reason}{hints.get(name, '')}")
