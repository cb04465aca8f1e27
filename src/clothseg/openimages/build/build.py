"""Open Images to a COCO data set: plan, convert each photo, split, write."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from clothseg.errors import ClothsegError, DataError
from clothseg.files import require_absent
from clothseg.openimages.build.assemble import DatasetPlan, assemble
from clothseg.openimages.build.convert import ConvertSettings
from clothseg.openimages.build.options import BuildOptions
from clothseg.openimages.build.plan import SplitSource, included_classes, load_sources
from clothseg.openimages.build.run import WrapProgress, convert_all
from clothseg.openimages.build.summary import BuildSummary
from clothseg.openimages.build.work_folder import WorkFolder
from clothseg.openimages.build.write import write_dataset
from clothseg.openimages.classes import ClassName, choose_classes, read_classes
from clothseg.openimages.hierarchy import read_hierarchy
from clothseg.openimages.layout import class_file, hierarchy_file

DEFAULTS = BuildOptions()


def build_dataset(
    source: Path,
    out: Path,
    classes: Sequence[str],
    options: BuildOptions = DEFAULTS,
    *,
    overwrite: bool = False,
    workers: int = 1,
    progress: WrapProgress = lambda items, text, total: items,
) -> BuildSummary:
    """Builds a COCO data set from the folder `source`, which has Open Images V5 files under their published names.

    The same files, options and seed give the same bytes, also after an interruption: finished work stays in the folder
    `.NAME.building` beside `out`, and the next build resumes there. Missing or broken photos, masks and rows do not
    stop the build; the summary lists them.

    Args:
        source: a folder with `train/`, `train-masks/`, `train-annotations-*.csv` and so on.
        out: folder for the data set. It appears when it is complete.
        classes: names or ids. Category ids are 1..N in this order.
        options: what to convert, and how.
        overwrite: replace the data set at `out`.
        workers: number of processes that convert photos. With more than one, a program must start below `if __name__
            == "__main__"`, because `multiprocessing` imports it again.
        progress: wraps the converted photos, for a progress bar; it gets a text and their number.

    Returns:
        What was written, dropped and left out.

    Raises:
        ClothsegError: `out` cannot be replaced, or another build is writing it.
        DataError: a table, folder or class is wrong, or a split would have no photo. Nothing is written then.
    """
    _check_out(source, out, overwrite=overwrite)
    if workers < 1:
        raise DataError(f"workers is {workers}, but must be 1 or more")
    if not source.is_dir():
        raise DataError(f"{source}: no such folder")
    known = read_classes(class_file(source))
    selected = choose_classes(classes, known)
    included = _included(source, selected, known, options)
    categories = {m.mid: number for number, c in enumerate(selected, start=1) for m in (c, *included[c.mid])}
    sources = load_sources(source, list(categories), options)
    names = {c.mid: c.name for c in known if c.mid in categories}
    settings = {of.name: _settings(of, categories, names, options) for of in sources}
    work = WorkFolder(out)
    facts = {"source": str(source.resolve()), "max_size": options.max_size, "upright": options.upright}
    with work.open(facts):
        try:
            speed, chunks = convert_all(sources, settings, work, workers, progress)
            plan = assemble(sources, chunks, selected, included, options)
            _check_not_empty(plan, options)
            summary = plan.summary(out, selected, included, speed)
            write_dataset(work.data, plan, summary, sources=sources, classes=selected, options=asdict(options))
            require_absent(out, overwrite=overwrite)
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
        hashed=options.val_fraction is not None,
    )


def _check_out(source: Path, out: Path, *, overwrite: bool) -> None:
    """A folder is replaced only if it is a data set, and never if the source is in it."""
    require_absent(out, overwrite=overwrite)
    if source.resolve().is_relative_to(out.resolve()):
        raise ClothsegError(f"{out} contains the source {source}; choose another place for the data set")
    if out.exists() and not (out.is_dir() and ((out / "dataset.yaml").is_file() or not any(out.iterdir()))):
        raise ClothsegError(
            f"{out} is not a data set (it has no dataset.yaml), so it is not replaced; choose another place"
        )


def _check_not_empty(plan: DatasetPlan, options: BuildOptions) -> None:
    for name in ("train", "val"):
        if plan.counts[name].masks == 0:
            dropped = [d for d in plan.dropped if d.split == name]
            if dropped:
                reason = f"all {len(dropped)} mask rows were dropped, the first: {dropped[0].detail}"
            else:
                reason = "no mask row matches"
            hint = "; --val-fraction takes a part of train instead"
            raise DataError(
                f"no photo with a mask of these classes is left for {name}: {reason}"
                + (hint if name == "val" and options.val_fraction is None else "")
            )
