"""DeepLabv3 of torchvision and ours, with the same random weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from deeplab_reference import load_network
from PIL import Image
from torchvision.models.segmentation import deeplabv3_resnet50, deeplabv3_resnet101
from torchvision.transforms._presets import SemanticSegmentation

from clothseg import sample


def with_statistics(model: torch.nn.Module) -> torch.nn.Module:
    """A model in inference mode whose norms have statistics, so that their order and epsilon matter."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d) and module.running_mean is not None:
            shape = module.running_mean.shape
            module.running_mean.copy_(torch.rand(shape, generator=generator) - 0.5)
            assert module.running_var is not None
            module.running_var.copy_(torch.rand(shape, generator=generator) + 0.5)
    return model.eval()


@pytest.mark.parametrize(("build", "aux"), [(deeplabv3_resnet50, True), (deeplabv3_resnet101, False)])
def test_logits_are_torchvisions(build: object, aux: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    assert callable(build)
    reference = with_statistics(build(weights=None, weights_backbone=None, num_classes=5, aux_loss=aux))
    torch.save(reference.state_dict(), tmp_path / "deeplab.pth")
    network = load_network(tmp_path / "deeplab.pth")
    assert network.settings.aux == aux and network.settings.output_stride == 8
    pixels = torch.rand(1, 3, 97, 130, generator=torch.Generator().manual_seed(2)) * 4 - 2
    with torch.no_grad():
        expected = reference(pixels)
        size = (97, 130)
        features = dict(zip(network.levels, network.backbone(pixels), strict=True))
        ours = network.upsample(network.semantic([features[5]]), size)
        scale = float(expected["out"].abs().max())
        assert (ours - expected["out"]).abs().max() <= 1e-4 * max(1.0, scale)
        if network.aux is not None:
            low = network.aux(features[4])
            upsampled = torch.nn.functional.interpolate(low, size=size, mode="bilinear", align_corners=False)
            torch.testing.assert_close(upsampled, expected["aux"], atol=1e-4 * max(1.0, scale), rtol=0)


@pytest.mark.parametrize("size", [(600, 401), (333, 500), (520, 520)])
def test_the_input_is_that_of_torchvisions_preset(size: tuple[int, int], tmp_path: Path) -> None:
    reference = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=2)
    torch.save(reference.state_dict(), tmp_path / "deeplab.pth")
    network = load_network(tmp_path / "deeplab.pth")
    first = sorted((sample.folder() / "validation").glob("*.jpg"))[0]
    photo = Image.open(first).convert("RGB").resize((size[1], size[0]))
    expected = SemanticSegmentation(resize_size=520)(photo)
    image = torch.from_numpy(np.array(photo)).permute(2, 0, 1)
    pixels, placements = network.transform.batch([image], torch.device("cpu"))
    assert placements[0].padded == tuple(expected.shape[1:])
    torch.testing.assert_close(pixels[0], expected, atol=1e-5, rtol=0)
