"""Files of detectron2's DeepLab and Panoptic-DeepLab, and its settings files."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from clothseg.config import DeepLabSettings
from clothseg.errors import ConfigError, WeightsError
from clothseg.models import MaskRCNN
from clothseg.networks import build_network
from clothseg.weights import load_initial_weights, load_model
from clothseg.weights.inspect import inspect_weights

Make = Callable[[str], Path]


@pytest.mark.parametrize(
    "model", ["detectron2_deeplabv3plus_r52", "panoptic_deeplab_r52", "panoptic_deeplab_r52_separable"]
)
def test_settings_follow_from_the_tensors_and_no_key_is_a_problem(model: str, reference_weights: Make) -> None:
    inspection = inspect_weights(reference_weights(model))
    assert not [key for key in inspection.keys if key.is_problem]
    assert (inspection.origin, inspection.backbone, inspection.conventions) == ("detectron2", "resnet52", "detectron2")
    loaded = load_model(reference_weights(model))
    settings = loaded.config.network
    assert isinstance(settings, DeepLabSettings) and loaded.classes == ["class 1", "class 2", "class 3"]
    panoptic, separable = model.startswith("panoptic"), model.endswith("separable")
    assert settings.decoder.levels == ((3, 2) if panoptic else (2,))
    assert settings.decoder.projected == ((64, 32) if panoptic else (48,))
    assert (settings.decoder.num_conv, settings.decoder.kernel_size) == ((1, 5) if separable else (2, 3))
    assert settings.instances == ("centers" if panoptic else "components")
    assert settings.aspp.separable == settings.decoder.separable == separable


def test_a_settings_file_of_detectron2_sets_window_size_and_grouping(reference_weights: Make, tmp_path: Path) -> None:
    tree = {
        "MODEL": {
            "META_ARCHITECTURE": "PanopticDeepLab",
            "PIXEL_MEAN": [1.0, 2.0, 3.0],
            "PANOPTIC_DEEPLAB": {"NMS_KERNEL": 41, "TOP_K_INSTANCE": 100, "CENTER_THRESHOLD": 0.2},
            "SEM_SEG_HEAD": {"LOSS_TOP_K": 1.0},
        },
        "INPUT": {"MIN_SIZE_TEST": 640, "MAX_SIZE_TEST": 960, "CROP": {"ENABLED": True, "SIZE": [512, 1024]}},
    }
    path = tmp_path / "panoptic.yaml"
    path.write_text(yaml.safe_dump(tree))
    config = load_model(reference_weights("panoptic_deeplab_r52"), path).config
    settings = config.network
    assert isinstance(settings, DeepLabSettings)
    assert (settings.centers.nms_kernel, settings.centers.top_k, settings.centers.threshold) == (41, 100, 0.2)
    assert settings.aspp.pool_window == (512, 1024) and settings.pixel_loss.hard_pixels == 1
    assert (config.input.resize, config.input.min_side, config.input.max_side) == ("keep_ratio", 640, 960)
    assert config.input.mean == (1, 2, 3)


def test_settings_of_detectron2s_deeplab_do_not_fit_mask_rcnn(reference_weights: Make, tmp_path: Path) -> None:
    path = tmp_path / "deeplab.yaml"
    path.write_text(yaml.safe_dump({"MODEL": {"META_ARCHITECTURE": "SemanticSegmentor"}}))
    with pytest.raises(ConfigError, match="deeplab"):
        load_model(reference_weights("detectron2"), path)


def test_mask_rcnn_of_detectron2_is_refused_and_refuses(reference_weights: Make) -> None:
    deeplab = load_model(reference_weights("panoptic_deeplab_r52"))
    with pytest.raises(WeightsError, match=r"mask_rcnn.*deeplab"):
        load_initial_weights(deeplab.network, str(reference_weights("detectron2")))
    mask_rcnn = build_network(MaskRCNN().config, 3)
    with pytest.raises(WeightsError, match=r"deeplab.*mask_rcnn"):
        load_initial_weights(mask_rcnn, str(reference_weights("panoptic_deeplab_r52")))
