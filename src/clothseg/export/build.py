"""Builds the ONNX model of a network: photo in, detections out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clothseg import __version__
from clothseg.exported.metadata import ExportMetadata
from clothseg.instances import Calibration
from clothseg.networks import Network
from clothseg.networks.onnx.detections import GraphDetections, GraphPixels
from clothseg.networks.onnx.graph import Graph
from clothseg.networks.onnx.input import boxes_on_photo, input_in_graph
from clothseg.networks.onnx.placement import GraphPlacement, place_in_graph
from clothseg.networks.placement import InputConventions

if TYPE_CHECKING:
    import onnx


def build_onnx(network: Network, classes: Sequence[str], calibration: Calibration | None = None) -> "onnx.ModelProto":
    """The network as an ONNX model, with classes, thresholds and settings in its metadata.

    Its input is `photo` `[height, width, 3]` uint8 RGB of any size. Its outputs are on the photo: `boxes`, `classes`,
    `scores` and `masks`; or maps of it, from which `clothseg.exported` groups the instances.

    Raises:
        ConfigError: the network has no such form.
    """
    graph, conventions = Graph(), network.transform.conventions
    photo = graph.input("photo", np.uint8, ["height", "width", 3])
    placement = place_in_graph(photo, network.transform)
    result = network.export_head(input_in_graph(photo, placement, conventions), placement)
    inference = network.config.inference
    options: dict[str, Any] = {"mask_threshold": inference.mask_threshold, "max_detections": inference.max_detections}
    if isinstance(result, GraphDetections):
        _add_detections(result, placement, conventions)
        options["rule"] = result.rule
    else:
        _add_maps(result, placement)
        options |= {**result.options, "whole_boxes": conventions.whole_boxes}
    metadata = ExportMetadata(
        classes=list(classes),
        form=result.form,
        options=options,
        score_threshold=inference.score_threshold,
        class_thresholds=dict(inference.class_thresholds),
        class_agnostic_nms_iou=inference.class_agnostic_nms_iou,
        config=network.config.to_yaml(),
        version=__version__,
        calibration=None if calibration is None else calibration.to_json(),
        refine_edges=inference.refine_edges is True,
    )
    return graph.model(metadata.to_properties())


def _add_detections(found: GraphDetections, placement: GraphPlacement, conventions: InputConventions) -> None:
    """The outputs `boxes`, `classes`, `scores` and `masks` of detections that have an extent on the photo."""
    boxes = boxes_on_photo(found.boxes, placement, conventions)
    graph, sides = boxes.graph, [boxes.at(number, 1) for number in range(4)]
    kept = graph.positions((sides[2] > sides[0]) & (sides[3] > sides[1]))
    graph.output("boxes", boxes.take(kept), ["detections", 4])
    graph.output("classes", found.classes.take(kept), ["detections"])
    graph.output("scores", found.scores.take(kept), ["detections"])
    graph.output("masks", found.masks.take(kept), ["detections", "rows", "columns"])
    if found.form == "maps":
        graph.output("region", placement.region(), [4])


def _add_maps(pixels: GraphPixels, placement: GraphPlacement) -> None:
    """An output for each map, and `placement`: where they lie in the input."""
    graph = placement.photo[0].graph
    for name, (value, shape) in pixels.maps.items():
        graph.output(name, value, shape)
    parts = [*placement.corner, *placement.size, *placement.padded]
    graph.output("placement", graph.vector(parts), [6])
