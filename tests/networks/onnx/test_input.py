"""The input that the graph computes is that of `InputTransform`, and boxes come back to the same place."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from clothseg.config import InputSettings
from clothseg.networks.input import InputTransform
from clothseg.networks.mask_rcnn import conventions as mask_rcnn
from clothseg.networks.placement import InputConventions, clip_to_placements, network_to_image
from clothseg.networks.yolact.conventions import ORIGINAL_INPUT

pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from clothseg.networks.onnx.graph import Graph  # noqa: E402
from clothseg.networks.onnx.input import bounds_in_graph, boxes_on_photo, input_in_graph  # noqa: E402
from clothseg.networks.onnx.placement import place_in_graph  # noqa: E402

SIZES = [(1, 1), (45, 61), (64, 64), (97, 80), (33, 200), (1, 400), (128, 96), (213, 319)]
RESIZES = ["fit", "stretch", "keep_ratio", "square", "none"]
CONVENTIONS = {
    "torchvision": InputConventions(),
    "detectron2": mask_rcnn.DETECTRON2.input,
    "matterport": mask_rcnn.MATTERPORT.input,
    "yolact": ORIGINAL_INPUT,
    "pillow": InputConventions(resampling="pillow", size_rounding="long_down", size_divisor=1, whole_boxes="cut"),
}
BOXES = np.array([[3, 4, 20, 31], [-5, 0, 900, 40.5], [12.3, 8.7, 13, 9]], dtype=np.float32)


def session(transform: InputTransform, normalised: bool) -> Any:
    graph = Graph()
    photo = graph.input("photo", np.uint8, ["height", "width", 3])
    placement = place_in_graph(photo, transform)
    boxes = graph.const(BOXES / 100 if normalised else BOXES)
    graph.output("pixels", input_in_graph(photo, placement, transform.conventions), [1, 3, "h", "w"])
    graph.output("region", placement.region(), [4])
    graph.output("boxes", boxes_on_photo(boxes, placement, transform.conventions), [3, 4])
    graph.output("bounds", bounds_in_graph(placement, transform.conventions, padded=False), [4])
    graph.output("padded", bounds_in_graph(placement, transform.conventions, padded=True), [4])
    model = graph.model({})
    names = [node.name for node in model.graph.node]
    assert all(names) and len(set(names)) == len(names)
    return onnxruntime.InferenceSession(model.SerializeToString())


def run(model: Any, photo: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    names = [output.name for output in model.get_outputs()]
    return dict(zip(names, model.run(None, {"photo": photo}), strict=True))


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("name", CONVENTIONS)
def test_the_graph_computes_the_same_input(name: str, resize: str) -> None:
    settings = InputSettings.model_validate(
        {"resize": resize, "height": 96, "width": 64, "min_side": 60, "max_side": 128}
    )
    conventions = CONVENTIONS[name]
    transform = InputTransform(settings, conventions)
    model = session(transform, conventions.normalised_boxes)
    draw = np.random.default_rng(0)
    for size in SIZES:
        photo = draw.integers(0, 256, (*size, 3), dtype=np.uint8)
        pixels, (placement,) = transform.batch([torch.from_numpy(photo).permute(2, 0, 1)], torch.device("cpu"))
        found = run(model, photo)
        assert found["pixels"].shape == tuple(pixels.shape), size
        scale = conventions.pixel_scale / min(conventions.std)
        np.testing.assert_allclose(found["pixels"], pixels.numpy(), atol=2e-5 * scale, err_msg=str(size))
        np.testing.assert_allclose(found["region"], placement.region, rtol=1e-12)
        boxes = torch.from_numpy(BOXES / 100 if conventions.normalised_boxes else BOXES)
        expected = network_to_image(boxes, placement, conventions).clamp(min=0)
        expected = torch.minimum(expected, torch.tensor([size[1], size[0]] * 2).float())
        np.testing.assert_allclose(found["boxes"], expected.numpy(), atol=1e-3, rtol=1e-5)
        for padded, name_of in ((False, "bounds"), (True, "padded")):
            far = torch.tensor([[[-1e6, -1e6, 1e6, 1e6]]])
            edges = clip_to_placements(far, [placement], conventions, padded=padded)[0, 0]
            np.testing.assert_allclose(found[name_of], edges.numpy(), rtol=1e-6)
