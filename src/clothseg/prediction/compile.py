"""Compiles the network of a prediction, if that was asked for."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it needs torch
    from clothseg.models import Model


def compile_for_inference(model: "Model", *, requested: bool) -> str:
    """Compiles a model's network if `requested`, or if its `inference.compile` is set. It works uncompiled too.

    Returns:
        A message for the user: what to expect, or why this machine cannot compile. Empty if nothing was to compile.
    """
    if not requested and not model.config.inference.compile:
        return ""
    reason = model.compile()
    model.config = model.config.changed("inference", compile=not reason)
    if reason:
        return f"not compiled, because this machine cannot do it: {reason}"
    return "compiling: the first photo takes a minute or two, and so may the first photo of another size"
