"""Losses and gradients that are not finite: the cause is reported, and no weight changes."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from clothseg.config import Config
from clothseg.dataset import ExampleSource
from clothseg.errors import RunError, SpoiledRun
from clothseg.instances import Instances
from clothseg.models import MaskRCNN
from clothseg.runs import RunFolder
from clothseg.training import read_history

from .conftest import SMALL, Photos


@pytest.mark.parametrize("on_nonfinite", ["stop", "skip"])
def test_a_nan_is_traced_to_its_photo(
    on_nonfinite: str, photos: Photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config.load("demo", [*SMALL, f"train.on_nonfinite={on_nonfinite}", "train.epochs=1"])
    train, val = photos
    raw = ExampleSource.raw
    before: dict[str, torch.Tensor] = {}
    model = MaskRCNN(config).build(train.classes)
    network = model.network
    assert network is not None

    def poisoned(source: ExampleSource, position: int, version: int) -> tuple[torch.Tensor, Instances]:
        image, truth = raw(source, position, version)
        if source.dataset is train and position == 1:
            image = image * torch.nan  # float
            before.update({name: tensor.clone() for name, tensor in network.state_dict().items()} if not before else {})
        return image, truth

    monkeypatch.setattr(ExampleSource, "raw", poisoned)
    folder = RunFolder(tmp_path / "run")
    if on_nonfinite == "stop":
        with pytest.raises(RunError, match="learning rate") as caught:
            model.fit(train, val, folder.path, quiet=True)
        assert train.images[1].path.name in str(caught.value)
        assert not any(train.images[n].path.name in str(caught.value) for n in (0, 2))
        assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    else:
        model.fit(train, val, folder.path, quiet=True)
        assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())
        assert read_history(folder.history)[-1]["step"] == 3
    facts = json.loads(min(folder.nonfinite.glob("*.json")).read_text())
    assert [s["image_id"] for s in facts["suspects"]] == [train.images[1].id]
    assert facts["suspects"][0]["annotations"] == [a["id"] for a in train.images[1].annotations]
    with Image.open(folder.nonfinite / facts["suspects"][0]["picture"]) as picture:
        assert picture.size == (train.images[1].width, train.images[1].height)


def test_divergence_is_distinguished_from_a_bad_photo(photos: Photos, tmp_path: Path) -> None:
    """With an extreme learning rate the losses diverge within some steps, and no checkpoint is kept."""
    diverging = ["train.learning_rate=1e6", "train.optimizer=sgd", "train.grad_clip_norm=null", "train.warmup_steps=0"]
    config = Config.load(
        "demo", [*SMALL, *diverging, "train.epochs=9", "train.steps_per_epoch=9", "train.on_nonfinite=skip"]
    )
    train, val = photos
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(SpoiledRun, match=r"no photo is to blame.*start again.*smaller train\.learning_rate") as caught:
        MaskRCNN(config).build(train.classes).fit(train, val, folder.path, quiet=True)
    assert "continue with" not in str(caught.value)
    (facts,) = (json.loads(path.read_text()) for path in folder.nonfinite.glob("*.json"))
    assert facts["suspects"] == []
    assert not folder.last.exists()


@pytest.mark.parametrize("on_nonfinite", ["stop", "skip"])
def test_a_nonfinite_gradient_changes_no_weight(on_nonfinite: str, photos: Photos, tmp_path: Path) -> None:
    """The losses are finite, the gradients are not."""
    config = Config.load("demo", [*SMALL, f"train.on_nonfinite={on_nonfinite}", "train.epochs=1"])
    train, val = photos
    model = MaskRCNN(config).build(train.classes)
    assert model.network is not None
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    weight = next(p for p in model.network.parameters() if p.requires_grad)
    weight.register_hook(lambda gradient: gradient * torch.inf)  # type: ignore[no-untyped-call]
    folder = RunFolder(tmp_path / "run")
    if on_nonfinite == "stop":
        with pytest.raises(RunError, match=r"step 0: the gradient is not finite at learning rate"):
            model.fit(train, val, folder.path, quiet=True)
    else:
        with pytest.raises(RunError, match=r"no step up to 3 gave finite"):
            model.fit(train, val, folder.path, quiet=True)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.network.state_dict().items())
