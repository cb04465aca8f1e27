"""The program of docs/export.md, which uses no clothseg, finds what PyTorch finds."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from clothseg.config import Config
from clothseg.export import export_onnx
from clothseg.instances import Calibration
from clothseg.models import Model

for library in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(library, reason=f"{library} is not installed")

DOCS = Path(__file__).parents[2] / "docs" / "export.md"
ORIENTATION = 0x0112
TINY = [
    *("input.height=96", "input.width=64", "backbone.name=timm/test_efficientnet", "weights=random"),
    "inference.score_threshold=0.3",
]


def program() -> str:
    found = re.search(r"## Without clothseg.*?```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def network(preset: str) -> Model:
    """With random weights. Its last layers are large, because nearly equal scores have no sure order."""
    model = Model(Config.load(preset, TINY)).build(["Red", "Blue"])
    assert model.network is not None
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.network.named_parameters():
        if "score" in name or "class" in name or name.startswith("refinement.change"):
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return model


@pytest.mark.parametrize(("preset", "calibrated"), [("small", True), ("small-yolact", False)])
def test_the_program_of_the_docs_finds_the_same(
    preset: str, calibrated: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network(preset)
    if calibrated:
        model.calibration = Calibration((1.5, 0.8), (-0.5, 0.3), (60, 50), 12, "abc")
    export_onnx(model, tmp_path / "first.onnx")
    cells = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(cells).resize((150, 110), Image.Resampling.BICUBIC).save(tmp_path / "photo.jpg", exif=exif)
    monkeypatch.chdir(tmp_path)
    rows: list[tuple[Any, ...]] = []
    code = program().replace("print(", "rows.append((").replace("pixels.sum())", "pixels))")
    exec(code, {"rows": rows})
    expected = model.predict(tmp_path / "photo.jpg")
    assert len(rows) == len(expected) > 3
    for (name, score, box, pixels), one in zip(rows, expected, strict=True):
        assert name == one.class_names[0]
        assert score == pytest.approx(float(one.scores[0]), abs=1e-4)
        np.testing.assert_allclose(box, one.boxes[0].numpy(), atol=1e-2)
        truth = one.mask_arrays()[0]
        assert (pixels & truth).sum() >= 0.99 * (pixels | truth).sum()
