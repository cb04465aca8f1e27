"""Settings files of Matterport and detectron2, converted to our settings."""

from pathlib import Path

import pytest

from clothseg.config import Config, MaskRCNNSettings
from clothseg.errors import ConfigError
from clothseg.weights import ConvertedWeights, config_of

MATTERPORT = """
IMAGE_MIN_DIM: 800
IMAGE_MAX_DIM: 1024
RPN_ANCHOR_SCALES: [8, 16, 32, 64, 128]
RPN_ANCHOR_RATIOS: [0.5, 1, 2]
PRE_NMS_LIMIT: 3000
DETECTION_MIN_CONFIDENCE: 0.9
LOSS_WEIGHTS: {mrcnn_class_loss: 2.0}
"""
DETECTRON2 = """
INPUT: {FORMAT: RGB, MIN_SIZE_TEST: 640}
MODEL:
  PIXEL_MEAN: [123.675, 116.28, 103.53]
  RESNETS: {STRIDE_IN_1X1: false}
  ANCHOR_GENERATOR: {SIZES: [[16], [32], [64], [128], [256]], ASPECT_RATIOS: [[0.5, 1.0, 2.0]]}
TEST: {DETECTIONS_PER_IMAGE: 7}
"""


def read(text: str, folder: Path, *overrides: str) -> Config:
    path = folder / "settings.yaml"
    path.write_text(text)
    return config_of(ConvertedWeights("", "", settings={"input": {"max_side": 99}}), path, overrides)


def mask_rcnn(config: Config) -> MaskRCNNSettings:
    assert isinstance(config.network, MaskRCNNSettings)
    return config.network


def test_a_file_of_matterport(tmp_path: Path) -> None:
    config = read(MATTERPORT, tmp_path, "inference.score_threshold=0.4")
    network = mask_rcnn(config)
    assert network.conventions == "matterport"
    assert (config.input.resize, config.input.min_side, config.input.max_side) == ("square", 800, 1024)
    assert network.anchors.scales == ((8,), (16,), (32,), (64,), (128,))
    assert network.anchors.ratios == (2, 1, 0.5)  # width / height there, height / width here
    assert (network.rpn.pre_nms_top_n_train, network.rpn.pre_nms_top_n_test) == (3000, 3000)
    assert network.loss_weights.class_ == 2
    assert config.inference.score_threshold == 0.4  # an override has priority over the file


def test_a_file_of_detectron2(tmp_path: Path) -> None:
    config = read(DETECTRON2, tmp_path)
    assert mask_rcnn(config).conventions == "detectron2"
    assert (config.input.channels, config.input.min_side, config.input.max_side) == ("rgb", 640, 99)
    assert config.input.mean == (123.675, 116.28, 103.53)
    assert config.backbone.stride_first is False
    assert mask_rcnn(config).anchors.scales[0] == (16,)
    assert config.inference.max_detections == 7


@pytest.mark.parametrize(
    "text",
    [
        MATTERPORT + "BBOX_STD_DEV: [0.2, 0.2, 0.2, 0.2]",
        MATTERPORT + "IMAGE_RESIZE_MODE: pad64",
        "MODEL: {ROI_BOX_HEAD: {BBOX_REG_WEIGHTS: [20, 20, 10, 10]}}",
        "MODEL: {META_ARCHITECTURE: RetinaNet}",
    ],
)
def test_unsupported_values_are_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is supported"):
        read(text, tmp_path)
