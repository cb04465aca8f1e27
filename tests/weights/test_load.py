"""The format of a file, and tensors into a network: what is excluded, what does not fit, and the sources."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor

from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.models import MaskRCNN
from clothseg.networks import build_network
from clothseg.runs import RunFolder
from clothseg.weights import (
    ConvertedWeights,
    LoadReport,
    load_converted,
    load_initial_weights,
    load_model,
    read_weights,
    write_network,
)
from clothseg.weights.files.tensor_file import TensorFile
from clothseg.weights.load import FORMATS, find_format, is_finite

Trained = tuple[Config, dict[str, torch.Tensor], str]


def test_excluded_tensors_keep_their_initial_values(trained: Trained, old_classes: list[str]) -> None:
    config, old, path = trained
    for exclude, loaded in ((["heads"], "fpn.lateral.0.0.weight"), (["mask_head.", "rpn."], "box_head.score.weight")):
        network = build_network(config, 3)
        initial = network.state_dict()["mask_head.logits.weight"].clone()
        report = load_initial_weights(network, path, exclude, old_classes)
        state = network.state_dict()
        assert torch.equal(state["mask_head.logits.weight"], initial)
        assert torch.equal(state[loaded], old[loaded])
        assert report.reasons["rpn.score.weight"] == "excluded by the user"
        assert "rpn.score.weight" in report.unused
        assert "rpn.score.weight" in report.missing


def test_an_exclusion_without_a_tensor_is_an_error(trained: Trained, old_classes: list[str]) -> None:
    config, _, path = trained
    network = build_network(config, 3)
    with pytest.raises(WeightsError, match=r"exclude 'mask_hed': no tensor .* parts are backbone, fpn"):
        load_initial_weights(network, path, ["heads", "mask_hed"], old_classes)


def test_no_tensor_of_a_layer_with_another_shape_is_loaded(
    trained: Trained, old_classes: list[str], small_overrides: list[str]
) -> None:
    """In a wider FPN this includes biases whose own shape fits."""
    _, old, path = trained
    wide = Config.load("demo", [*small_overrides, "network.fpn.channels=64"])
    network = build_network(wide, 3)
    initial = network.state_dict()["rpn.score.bias"].clone()
    report = load_initial_weights(network, path, classes=old_classes)
    state = network.state_dict()
    assert torch.equal(state["rpn.score.bias"], initial)
    assert torch.equal(state["box_head.score.bias"], old["box_head.score.bias"])  # of a layer that fits
    assert report.reasons["rpn.score.bias"] == "another tensor of its layer has another shape"
    assert any(line.startswith("rpn.score.weight: (") for line in report.shape_mismatch)
    assert report.loaded and not set(report.loaded) & set(report.missing)
    assert {*report.loaded, *report.missing} == state.keys()
    with pytest.warns(UserWarning, match="start new"):
        MaskRCNN(wide).build(old_classes).load_weights(path)


def test_a_folder_must_be_a_finished_run(trained: Trained, old_classes: list[str], tmp_path: Path) -> None:
    config, old, _ = trained
    run = RunFolder(tmp_path / "run")
    write_network(run.weights, old, config, old_classes)
    assert load_model(run.path).classes == old_classes
    network = build_network(config, 3)
    load_initial_weights(network, str(run.path))
    assert torch.equal(network.state_dict()["fpn.lateral.0.0.weight"], old["fpn.lateral.0.0.weight"])
    with pytest.raises(WeightsError, match="not a run or a weights file"):
        load_initial_weights(network, str(tmp_path))


def test_tensors_of_another_network_do_not_fit(trained: Trained) -> None:
    network = build_network(trained[0], 3)
    with pytest.raises(WeightsError, match=r"other: no tensor of it fits"):
        load_converted(network, ConvertedWeights("", "", {"features.0.weight": torch.zeros(1)}), "other")


def test_missing_tensors_of_the_backbone_are_an_error(trained: Trained, tmp_path: Path) -> None:
    config, old, _ = trained
    path = tmp_path / "part.safetensors"
    write_network(path, {n: t for n, t in old.items() if "layer3" not in n}, config, ["a", "b", "c"])
    with pytest.raises(
        WeightsError, match=r"\d+ tensors of the backbone are not in it, among them backbone\.model\.lay"
    ):
        load_initial_weights(build_network(config, 3), str(path))
    load_initial_weights(build_network(config, 3), str(path), exclude=["backbone.model.layer3"])


def test_other_conventions_give_a_note(trained: Trained, small_overrides: list[str]) -> None:
    network = build_network(Config.load("demo", [*small_overrides, "network.conventions=detectron2"]), 3)
    assert "set network.conventions=torchvision" in load_initial_weights(network, trained[2]).summary()
    assert load_initial_weights(build_network(trained[0], 3), trained[2]).notes == []


def test_a_name_of_published_weights_is_not_a_file() -> None:
    with pytest.raises(WeightsError, match="`clothseg weights download coco-matterport` fetches it"):
        read_weights(Path("coco-matterport"))


def test_stored_precision_is_a_change(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path]
) -> None:
    half = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in torchvision_state.items()}
    model = load_model(save({"model": half, "epoch": 3}, "half.pth"))
    name = "backbone.body.layer3.1.conv2.weight"
    assert torch.equal(model.network.state_dict()["backbone.model.layer3.1.conv2.weight"], half[name].float())
    assert model.report.changed[name] == "from float16 to float32"


def test_values_that_are_not_finite_are_an_error(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path]
) -> None:
    name = "backbone.body.conv1.weight"
    path = save(torchvision_state | {name: torchvision_state[name] * torch.nan}, "nan.pth")
    message = r"nan\.pth: 1 of \d+ tensors contain values that are not finite, among them backbone"
    with pytest.raises(WeightsError, match=message):
        read_weights(path)


def test_a_class_layer_needs_two_rows(
    torchvision_state: dict[str, torch.Tensor], save: Callable[[object, str], Path]
) -> None:
    name = "roi_heads.box_predictor.cls_score.weight"
    with pytest.raises(WeightsError, match="no class besides background"):
        read_weights(save(torchvision_state | {name: torchvision_state[name][:1]}, "one.pth"))


def test_the_summary_names_every_count_that_is_not_zero() -> None:
    assert LoadReport("a.pth", loaded=["x", "y"]).summary() == "2 tensors loaded from a.pth"
    report = LoadReport(
        "a.pth", loaded=["x"], unused=["u"], missing=["m", "s"], shape_mismatch=["s"], transferred=[], notes=["A note."]
    )
    assert report.summary() == (
        "1 tensors loaded from a.pth, 2 start new, 1 of them because the file's have another shape, 1 of the file "
        "unused, last layers new for these classes, with the rows of background alone; A note."
    )


@pytest.mark.parametrize(
    ("names", "metadata", "origin"),
    [
        (("backbone.model.conv1.weight",), {"format": "clothseg-1"}, "native"),
        (("backbone.body.conv1.weight", "roi_heads.box_predictor.cls_score.weight"), {}, "torchvision"),
        (("backbone.bottom_up.res2.0.conv1.weight",), {}, "detectron2"),
        (("stem.conv1.weight", "res2.0.conv1.weight"), {}, "detectron2"),
        (("conv1_w", "res2_0_branch2a_w"), {}, "detectron2"),
        (("res2a_branch2a/0/kernel:0",), {}, "matterport"),
        (("conv1.weight", "layer1.0.conv1.weight"), {}, "resnet"),
        (("conv_stem.weight", "blocks.0.0.conv_dw.weight"), {}, "timm"),
    ],
)
def test_exactly_one_format_recognizes_a_file(names: tuple[str, ...], metadata: dict[str, str], origin: str) -> None:
    file = TensorFile(Path("weights"), "torch", {name: torch.zeros(1) for name in names}, {}, metadata)
    recognized = [str(vars(module)["__name__"]) for module in FORMATS if module.recognizes(file)]
    assert recognized == [f"clothseg.weights.formats.{origin}"]
    assert find_format(file) is next(module for module in FORMATS if module.recognizes(file))


def checkpoint() -> dict[str, object]:
    return {"network": {}, "optimizer": {}, "sampler": {}, "rows": [], "generator": torch.zeros(3)}


def other_network() -> dict[str, Tensor]:
    return dict(torchvision.models.squeezenet1_0(weights=None).state_dict())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (checkpoint, "a training checkpoint of a clothseg run, .* give the run's folder"),
        (other_network, r"another network \(52 tensors: features\.0\.weight, .*; supported are"),
    ],
)
def test_unknown_formats_are_reported(
    content: Callable[[], object], message: str, save: Callable[[object, str], Path]
) -> None:
    path = save(content(), "weights.pth")
    with pytest.raises(WeightsError, match=message) as caught:
        read_weights(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("values", "finite"),
    [
        ([3e38, 3e38], True),
        ([0.0, -1e-45], True),
        ([], True),
        ([1, torch.inf], False),
        ([torch.inf, -torch.inf], False),
        ([torch.nan], False),
    ],
)
def test_values_are_finite_although_their_sum_is_not(values: list[float], finite: bool) -> None:
    assert is_finite(torch.tensor(values)) is finite
