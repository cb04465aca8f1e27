"""What is done with each photo of a catalogue: predicting, or cutting garments out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from clothseg.catalogue.shards import CataloguePhoto, shard_name
from clothseg.catalogue.tables import DETECTIONS, GARMENTS, Row
from clothseg.errors import PhotoError, is_out_of_memory
from clothseg.files import safe_file_name
from clothseg.garments.cutout import DEFAULTS, CutoutSettings
from clothseg.instances import class_number, coco_results, mask_area
from clothseg.instances.calibration import needs_review
from clothseg.photos import RgbImage
from clothseg.prediction.files import find_each, too_large

if TYPE_CHECKING:
    from clothseg.instances import ArrayInstances, Instances
    from clothseg.prediction.options import Find

CUTOUTS = "cutouts"


@dataclass(frozen=True)
class OpenNetwork:
    """A network that is ready to find.

    Attributes:
        find: returns the instances on each of some photos.
        classes: names of the classes 1..K.
        calibrated: whether its scores are calibrated.
    """

    find: "Find"
    classes: Sequence[str]
    calibrated: bool = False


class NetworkSource(Protocol):
    """Opens a network. It is sent to other processes, so it can be pickled."""

    def open(self, worker: int, workers: int) -> OpenNetwork:
        """Opens it for one of several processes of a machine, counted from 0."""
        ...


@dataclass(frozen=True)
class PhotoResult:
    """The result of one photo.

    Attributes:
        size: its height and width in pixels.
        rows: of the table of results.
        files: names and contents of files beside the tables.
    """

    size: tuple[int, int]
    rows: Sequence[Row]
    files: Sequence[tuple[str, bytes]] = field(default=(), repr=False)


def photo_columns(photo: CataloguePhoto, pixels: RgbImage) -> dict[str, Any]:
    """The columns of a row that say which photo it is of."""
    height, width = pixels.shape[:2]
    return {"photo_id": photo.photo_id, "photo": photo.name, "photo_width": width, "photo_height": height}


class Task(Protocol):
    """What is done with the instances of a photo."""

    @property
    def table(self) -> str:
        """Name of the table of results."""
        ...

    def result(
        self,
        network: OpenNetwork,
        photo: CataloguePhoto,
        pixels: RgbImage,
        found: "Instances | ArrayInstances",
        shard: int,
    ) -> PhotoResult:
        """The rows and files of a photo."""
        ...


@dataclass(frozen=True)
class Predict:
    """Keeps every detection as a row with box and mask."""

    table: str = DETECTIONS

    def result(
        self,
        network: OpenNetwork,
        photo: CataloguePhoto,
        pixels: RgbImage,
        found: "Instances | ArrayInstances",
        shard: int,
    ) -> PhotoResult:
        """A row for each detection; see `Task`."""
        common, rows = photo_columns(photo, pixels), []
        for number, row in enumerate(coco_results(photo.photo_id, found, lambda label: label), start=1):
            x, y, box_width, box_height = row["bbox"]
            mask = row["segmentation"]
            rows.append(
                common
                | {
                    "number": number,
                    "class_id": row["category_id"],
                    "class": network.classes[row["category_id"] - 1],
                    "score": row["score"],
                    **{"x": x, "y": y, "width": box_width, "height": box_height},
                    "area": mask_area(mask),
                    "rle": mask["counts"],
                    "review": needs_review(row["score"]) if network.calibrated else None,
                }
            )
        return PhotoResult(pixels.shape[:2], rows)


@dataclass(frozen=True)
class CutOut:
    """Cuts every garment out, as a PNG with transparency and a row.

    Attributes:
        classes: only garments of these classes; all if empty. Upper and lower case do not matter.
        full_frame: whether a PNG has the photo's size.
        settings: how garments are cut out.
    """

    classes: Sequence[str] = ()
    full_frame: bool = False
    settings: CutoutSettings = DEFAULTS
    table: str = GARMENTS

    def result(
        self,
        network: OpenNetwork,
        photo: CataloguePhoto,
        pixels: RgbImage,
        found: "Instances | ArrayInstances",
        shard: int,
    ) -> PhotoResult:
        """A row and a PNG for each garment; see `Task`."""
        from clothseg.garments.cutout_files import cut_out_all, encode_cutout  # noqa: PLC0415 - Numba, seconds

        names = network.classes
        wanted = {class_number(name, names, option="--class", ignore_case=True) for name in self.classes or names}
        common, rows, files = photo_columns(photo, pixels), [], []
        for position, cutout in cut_out_all(lambda _: found, pixels, names, wanted, self.settings):
            number = position + 1
            name = f"{photo.photo_id:08d}-{number}-{safe_file_name(cutout.class_name)}.png"
            path = f"{CUTOUTS}/{shard_name(shard)}/{name}"
            files.append((path, encode_cutout(cutout, full_frame=self.full_frame)))
            place = {"x": cutout.left, "y": cutout.top}
            place |= {"width": cutout.picture.shape[1], "height": cutout.picture.shape[0]}
            known = {"class_id": class_number(cutout.class_name, names), "class": cutout.class_name}
            rows.append(common | {"number": number, **known, "score": cutout.score, **place, "file": path})
        return PhotoResult(pixels.shape[:2], rows, files)


def results(
    task: Task,
    network: OpenNetwork,
    photos: Sequence[tuple[CataloguePhoto, RgbImage | PhotoError]],
    shard: int,
) -> Iterator[tuple[CataloguePhoto, PhotoResult | PhotoError]]:
    """Yields the result of each of some photos, or why there is none; the network gets them together."""
    read = [(photo.name, pixels) for photo, pixels in photos if not isinstance(pixels, PhotoError)]
    found = iter(find_each(network.find, read) if read else ())
    for photo, pixels in photos:
        instances = pixels if isinstance(pixels, PhotoError) else next(found)
        if isinstance(pixels, PhotoError) or isinstance(instances, PhotoError):
            yield photo, instances if isinstance(instances, PhotoError) else PhotoError(str(pixels))
            continue
        try:
            result: PhotoResult | PhotoError = task.result(network, photo, pixels, instances, shard)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            result = too_large(photo.name, pixels)
        yield photo, result
