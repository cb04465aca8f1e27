"""Tensors of the right names and the wrong shapes: the message names tensor, shape found and shape expected."""

import re
from pathlib import Path

import pytest
import torch

from clothseg.errors import WeightsError
from clothseg.weights import ConvertedWeights, read_weights
from clothseg.weights.converted import require_shapes

KERAS = {
    "res2a_branch2a/0/kernel:0": (1, 1, 4, 4),
    "res2a_branch2a/1/bias:0": (4,),
    "bn2a_branch2a/2/moving_mean:0": (4,),
    "rpn_class_raw/0/kernel:0": (1, 1, 4, 6),
    "mrcnn_bbox_fc/0/kernel:0": (4, 8),
}
DETECTRON2 = {
    "backbone.bottom_up.res2.0.conv1.weight": (4, 4, 1, 1),
    "backbone.bottom_up.res2.0.conv2.weight": (4, 4, 3, 3),
    "roi_heads.box_predictor.cls_score.weight": (3, 4),
    "roi_heads.box_predictor.bbox_pred.weight": (8, 4),
}
DEEPLAB = {
    "sem_seg_head.decoder.res5.project_conv.convs.0.weight": (4, 4, 1, 1),
    "sem_seg_head.decoder.res2.fuse_conv.0.weight": (4, 4, 3, 3),
    "sem_seg_head.decoder.res2.project_conv.weight": (4, 4, 1, 1),
    "sem_seg_head.predictor.weight": (3, 4, 1, 1),
}
YOLACT = {
    "backbone.conv1.weight": (4, 3, 7, 7),
    "backbone.layers.0.0.conv3.weight": (4, 4, 1, 1),
    **{f"fpn.lat_layers.{number}.weight": (4, 4, 1, 1) for number in range(3)},
    **{f"fpn.pred_layers.{number}.weight": (4, 4, 3, 3) for number in range(3)},
    **{f"proto_net.{number}.weight": (4, 4, 3, 3) for number in (0, 2, 4, 8, 10)},
    **{f"prediction_layers.0.{layer}_layer.bias": (12,) for layer in ("bbox", "conf", "mask")},
    **{f"prediction_layers.0.{layer}_layer.weight": (12, 4, 3, 3) for layer in ("bbox", "conf", "mask")},
}


TORCHVISION_DEEPLAB = {
    "backbone.layer4.0.conv2.weight": (4, 4, 3, 3),
    "classifier.0.convs.0.0.weight": (4, 4, 1, 1),
    "classifier.0.convs.4.1.weight": (4, 4, 1, 1),
    "classifier.4.weight": (3, 4, 1, 1),
}


@pytest.mark.parametrize(
    ("shapes", "key", "shape", "message"),
    [
        (KERAS, "res2a_branch2a/1/bias:0", (3,), "has the shape [3], but should be [4], like the mean of the norm"),
        (KERAS, "rpn_class_raw/0/kernel:0", (1, 1, 4, 5), "has 5 outputs, but should have a multiple of 2"),
        (KERAS, "mrcnn_bbox_fc/0/kernel:0", (4, 0), "has 0 outputs, but should have a multiple of 4"),
        (KERAS, "mrcnn_bbox_fc/0/kernel:0", (4, 4, 8), "a kernel should be [height, width, inputs, outputs]"),
        (
            DETECTRON2,
            "roi_heads.box_predictor.cls_score.weight",
            (),
            "has the shape [], but should be [outputs, inputs]",
        ),
        (DETECTRON2, "backbone.bottom_up.res2.0.conv2.weight", (4,), "should be [outputs, inputs, height, width]"),
        (DEEPLAB, "sem_seg_head.decoder.res5.project_conv.convs.0.weight", (), "has the shape [], but should be"),
        (DEEPLAB, "sem_seg_head.decoder.res2.fuse_conv.0.weight", (), "has the shape [], but should be"),
        (DEEPLAB, "sem_seg_head.predictor.weight", (), "should be [outputs, inputs, height, width]"),
        (YOLACT, "proto_net.10.weight", (), "has the shape [], but should be"),
        (YOLACT, "fpn.lat_layers.1.weight", None, "not complete: it lacks fpn.lat_layers.1.weight"),
        (YOLACT, "fpn.pred_layers.2.weight", None, "not complete: it lacks fpn.pred_layers.2.weight"),
    ],
)
def test_a_wrong_shape_is_named(
    shapes: dict[str, tuple[int, ...]], key: str, shape: tuple[int, ...] | None, message: str, tmp_path: Path
) -> None:
    state = {name: torch.ones(of_tensor) for name, of_tensor in shapes.items()}
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    assert read_weights(path).tensors, "the file itself is in order"
    del state[key]
    if shape is not None:
        state[key] = torch.ones(shape)
    torch.save(state, path)
    with pytest.raises(WeightsError, match=rf"weights\.pth.*{re.escape(key)}") as caught:
        read_weights(path)
    assert message in str(caught.value)


def test_only_layers_that_the_package_knows_are_checked(tmp_path: Path) -> None:
    for origin, accepted in (("timm", True), ("detectron2", False)):
        converted = ConvertedWeights(origin, "")
        converted.add("tokens", "backbone.model.blocks.0.bias", torch.ones(1, 2, 3))
        if accepted:
            require_shapes(tmp_path, converted)
        else:
            with pytest.raises(WeightsError, match=r"tensor tokens has the shape \[1, 2, 3\]"):
                require_shapes(tmp_path, converted)


def test_deeplab_with_one_branch_is_not_complete(tmp_path: Path) -> None:
    state = {name: torch.ones(shape) for name, shape in TORCHVISION_DEEPLAB.items()}
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    assert read_weights(path).classes == ["class 1", "class 2"]
    del state["classifier.0.convs.4.1.weight"]
    torch.save(state, path)
    with pytest.raises(WeightsError, match=r"weights\.pth.*single branch of ASPP"):
        read_weights(path)
