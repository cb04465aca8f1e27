"""From the outputs of an exported network to instances; one function for each form of outputs."""

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from clothseg.exported.centers import instances_by_centers
from clothseg.exported.grouping import instances_by_connection
from clothseg.exported.metadata import ExportMetadata
from clothseg.instances.array_masks import ArrayMasks, BoxArrayMasks, MapArrayMasks
from clothseg.instances.arrays import ArrayInstances

Outputs = Mapping[str, NDArray[Any]]
"""The outputs of a graph by name."""
Size = tuple[int, int]
"""Height and width of a photo."""


def _with_boxes(outputs: Outputs, size: Size, metadata: ExportMetadata) -> ArrayInstances:
    threshold, rule = metadata.options["mask_threshold"], metadata.options["rule"]
    return _instances(outputs, size, BoxArrayMasks(outputs["boxes"], size, outputs["masks"], threshold, rule))


def _with_maps(outputs: Outputs, size: Size, metadata: ExportMetadata) -> ArrayInstances:
    top, left, height, width = outputs["region"].tolist()
    threshold, region = metadata.options["mask_threshold"], (top, left, height, width)
    return _instances(outputs, size, MapArrayMasks(outputs["boxes"], size, outputs["masks"], threshold, region))


def _instances(outputs: Outputs, size: Size, masks: ArrayMasks) -> ArrayInstances:
    return ArrayInstances(size, outputs["boxes"], outputs["classes"], outputs["scores"], masks)


FORMS: dict[str, Callable[[Outputs, Size, ExportMetadata], ArrayInstances]] = {
    "boxes": _with_boxes,
    "maps": _with_maps,
    "components": instances_by_connection,
    "centers": instances_by_centers,
}
"""What the outputs are: masks in boxes, maps over the photo, a class for each pixel, and the same with centers."""
