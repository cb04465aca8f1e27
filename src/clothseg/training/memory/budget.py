"""Settings that fit a memory budget and keep the meaning of a training."""

import re
from collections.abc import Callable, Iterator

import torch

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.distributed import local_world_size
from clothseg.errors import ConfigError
from clothseg.training.memory.device import format_bytes, shares_main_memory
from clothseg.training.memory.forecast import Forecast, forecast_memory

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def parse_size(text: str) -> int:
    """Bytes of `4GB`, `3.5 GiB`, `800 MB`.

    Raises:
        ConfigError: it is not a number with such a unit.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*", text)
    if match is None or match[2].upper() not in UNITS or not float(match[1]):
        raise ConfigError(f"{text!r} is not an amount of memory; write a number and MB, GB, MiB or GiB, such as 4GB")
    return int(float(match[1]) * UNITS[match[2].upper()])


def fit_budget(config: Config, budget: int, forecast_of: Callable[[Config], Forecast]) -> tuple[Config, Forecast]:
    """The first settings that fit the budget.

    They are tried in this order: the configuration's own; activation checkpointing; then the batch halved and the
    gradient accumulation doubled, until one photo is in memory at a time. Each time the feature cache takes what is
    left of the budget, up to what the configuration says. Only the halved batch changes a number: see `training_step`.

    Args:
        config: the settings that the user asked for.
        budget: bytes.
        forecast_of: the forecast of a configuration.

    Raises:
        ConfigError: nothing fits; the message has the smallest amount that would.
    """
    smallest: Forecast | None = None
    for candidate in _candidates(config):
        forecast = forecast_of(candidate)
        bare = forecast.total - forecast.cached
        if bare <= budget:
            if forecast.total <= budget:
                return candidate, forecast
            share = (budget - bare) // 2_000_000  # for the training photos and as much for the others
            less = _changed(candidate, feature_cache_mb=share)
            return less, forecast_of(less)
        if smallest is None or bare < smallest.total - smallest.cached:
            smallest = forecast
    assert smallest is not None
    least = smallest.total - smallest.cached
    raise ConfigError(
        f"nothing fits in {format_bytes(budget)}: this training takes at least {format_bytes(least)} "
        f"({smallest.libraries / least:.0%} of it for the libraries), with one photo at a time and activation "
        f"checkpointing. Allow that much, or {_advice(smallest)}"
    )


def _advice(forecast: Forecast) -> str:
    """What makes the largest part of a training smaller, besides the libraries."""
    network = forecast.weights + forecast.gradients + forecast.optimizer + forecast.ema
    what = max(("activations", forecast.activations), ("photos", forecast.photos), ("network", network), key=_size)[0]
    return {
        "activations": "make the input, the backbone or network.box_head.samples smaller",
        "photos": "make the input or the photos smaller (clothseg dataset build --max-size), or train.workers=0: most "
        "of it is for photos that are loaded, with a mask for each object",
        "network": "choose a smaller backbone, or train.ema_decay=0",
    }[what]


def _size(part: tuple[str, int]) -> int:
    return part[1]


def within_budget(
    config: Config, text: str, train: CocoLikeDataset, val: CocoLikeDataset, device: torch.device
) -> tuple[Config, str]:
    """Settings of a training that fit an amount of memory, and a message about what was chosen.

    Args:
        config: the settings that the user asked for.
        text: the amount, such as `4GB`: of all processes on this machine together, or of each GPU where there is one.
        train, val: prepared datasets.
        device: that is trained on.

    Raises:
        ConfigError: the text is not an amount, or nothing fits.
    """
    budget = parse_size(text)
    sharing = local_world_size(config.train.devices) if shares_main_memory(device) else 1
    chosen, found = fit_budget(
        config, budget // sharing, lambda candidate: forecast_memory(candidate, train, val, device)
    )
    what = ", ".join(changes(config, chosen)) or "the settings as they are"
    each = f" for each of {sharing} processes" if sharing > 1 else ""
    return chosen, f"{format_bytes(budget)} of memory: {what}; about {format_bytes(found.total)}{each}"


def changes(before: Config, after: Config) -> list[str]:
    """The differences of two configurations' section `train`, as `train.name=value`."""
    one, other = before.train.model_dump(mode="json"), after.train.model_dump(mode="json")
    return [f"train.{name}={str(value).lower()}" for name, value in other.items() if one[name] != value]


def _candidates(config: Config) -> Iterator[Config]:
    yield config
    config = _changed(config, activation_checkpointing=True)
    while True:
        yield config
        train = config.train
        if train.batch_size == 1:
            return
        if train.batch_size % 2:  # a batch that cannot be halved goes to single photos
            config = _changed(
                config, batch_size=1, grad_accumulation_steps=train.grad_accumulation_steps * train.batch_size
            )
        else:
            config = _changed(
                config, batch_size=train.batch_size // 2, grad_accumulation_steps=train.grad_accumulation_steps * 2
            )


def _changed(config: Config, **settings: object) -> Config:
    return config.changed("train", **settings)
