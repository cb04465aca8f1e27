"""Exports a dataset: all its splits, in one format, as a folder that appears whole."""

from pathlib import Path

from clothseg.dataset.coco import CocoLikeDataset
from clothseg.dataset.exporting.coco_files import write_coco_split
from clothseg.dataset.exporting.label_maps import require_class_names, write_class_names, write_label_map_split
from clothseg.dataset.exporting.options import LOSSES, ExportOptions, ExportSummary
from clothseg.dataset.exporting.photos import Losses, photos_of
from clothseg.dataset.exporting.yolo_files import write_data_yaml, write_yolo_split
from clothseg.errors import DataError
from clothseg.files import OutputNames, atomic_folder, require_outside_inputs
from clothseg.progress import ProgressBar, no_progress

DEFAULTS = ExportOptions()
_SPLITS = ("train", "val", "test")


def export_dataset(
    data: Path | str,
    out: Path | str,
    options: ExportOptions = DEFAULTS,
    *,
    progress: ProgressBar = no_progress,
) -> ExportSummary:
    """Writes a dataset in a format of other tools. Photos are copied and never changed.

    Args:
        data: the folder of a COCO dataset, with `annotations/train.json` and others.
        out: folder for the files. It appears when it is complete.
        options: the format.
        progress: wraps the photos, for a progress bar.

    Returns:
        What was written, and what the format cannot hold.

    Raises:
        ClothsegError: `out` exists already, or has the dataset in it.
        DataError: the dataset cannot be read, its splits have different classes, the format cannot have a class, or no
            photo can be read. Nothing is written then.
    """
    data, out = Path(data), Path(out)
    require_outside_inputs(out, [data])
    splits = {
        split: CocoLikeDataset().load_data(data, split).prepare()
        for split in _SPLITS
        if split == "train" or (data / "annotations" / f"{split}.json").is_file()
    }
    classes = splits["train"].classes
    for split, dataset in splits.items():
        if dataset.classes != classes:
            raise DataError(
                f"{data}: {split} has the classes {dataset.classes}, but train has {classes}; both files need the same "
                "categories"
            )
    if options.format == "label-maps":
        require_class_names(classes)
    losses, photos, objects = Losses(), {}, {}
    names = OutputNames()
    with atomic_folder(out, overwrite=options.overwrite) as folder:
        for split, dataset in splits.items():
            found = progress(photos_of(dataset, names, losses), len(dataset), split)
            if options.format == "coco":
                counts = write_coco_split(folder, split, found, classes, options, losses)
            elif options.format == "yolo":
                counts = write_yolo_split(folder, split, found, options, losses)
            else:
                counts = write_label_map_split(folder, split, found, classes, options, losses)
            photos[split], objects[split] = counts
        if not any(photos.values()):
            raise DataError(f"{data}: no photo is left; the first: {losses.failed[0] if losses.failed else 'none'}")
        if options.format == "yolo":
            write_data_yaml(folder, list(splits), classes)
        elif options.format == "label-maps":
            write_class_names(folder, classes)
    counted = {name: losses.counts[name] for name in LOSSES if losses.counts[name]}
    return ExportSummary(out, options.format, photos, objects, counted, tuple(losses.failed))
