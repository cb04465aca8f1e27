"""Compiling a model: who asks for it, and the message about it."""

import pytest

from clothseg.config import Config
from clothseg.models import Model
from clothseg.prediction import compile_for_inference


@pytest.mark.parametrize(
    ("requested", "configured", "reason", "message"),
    [
        (False, False, "", ""),
        (True, False, "", "compiling: the first photo takes a minute"),
        (False, True, "", "compiling: the first photo takes a minute"),
        (True, True, "no compiler", "not compiled, because this machine cannot do it: no compiler"),
    ],
)
def test_the_option_or_the_settings_compile(
    requested: bool, configured: bool, reason: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Model] = []

    def compiled(model: Model) -> str:
        calls.append(model)
        return reason

    monkeypatch.setattr(Model, "compile", compiled)
    model = Model(Config.load("demo", [f"inference.compile={str(configured).lower()}"]))
    said = compile_for_inference(model, requested=requested)
    assert said.startswith(message)
    assert bool(said) == bool(calls) == (requested or configured)
    assert model.config.inference.compile == (bool(calls) and not reason)
