"""Settings that fit a budget of memory and keep the meaning of a training."""

import re
from collections.abc import Callable, Iterator

import torch

from clothseg.config import Config
from clothseg.dataset import CocoLikeDataset
from clothseg.errors import ConfigError
from clothseg.processes import processes_here
from clothseg.training.memory.device import in_words
from clothseg.training.memory.forecast import Forecast
from clothseg.training.run_summary import foretell

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def parse_size(text: str) -> int:
    """Bytes of `4GB`, `3.5 GiB`, `800 MB`.

    Raises:
        ConfigError: it is no number with such a unit.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*", text)
    if match is None or match[2].upper() not in UNITS or not float(match[1]):
        raise ConfigError(f"{text!r} is no amount of memory; write a number and MB, GB, MiB or GiB, such as 4GB")
    return int(float(match[1]) * UNITS[match[2].upper()])


def fit_budget(config: Config, budget: int, foretell: Callable[[Config], Forecast]) -> tuple[Config, Forecast]:
    """The first settings that fit, in this order: the configuration's own; activations computed again instead of kept;
    then the batch halved and the accumulation doubled, until one photo is in memory at a time. With each of them as
    many outputs of frozen stages are kept as there is room for, up to what the configuration says.

    Only the halved batch changes a number: see `gradients.gradients`.

    Args:
        config: what was asked for.
        budget: bytes.
        foretell: the forecast of a configuration.

    Raises:
        ConfigError: nothing fits; the message has the smallest amount that would.
    """
    smallest: Forecast | None = None
    for candidate in _candidates(config):
        forecast = foretell(candidate)
        bare = forecast.total - forecast.kept
        if bare <= budget:
            if forecast.total <= budget:
                return candidate, forecast
            room = (budget - bare) // 2_000_000  # for the training photos and as much for the others
            less = _changed(candidate, keep_features_mb=room)
            return less, foretell(less)
        if smallest is None or bare < smallest.total - smallest.kept:
            smallest = forecast
    assert smallest is not None
    least = smallest.total - smallest.kept
    raise ConfigError(
        f"nothing fits into {in_words(budget)}: the least that this training takes is {in_words(least)} "
        f"({smallest.libraries / least:.0%} of it for the libraries), with one photo at a time and activations "
        "computed again. Give that much, or make the input (picture), the backbone or boxes.samples smaller"
    )


def within_budget(config: Config, text: str, train: CocoLikeDataset, val: CocoLikeDataset) -> tuple[Config, str]:
    """Settings of a training that fit into an amount of memory, and what was chosen, in words.

    Args:
        config: what was asked for.
        text: the amount, such as `4GB`: of all processes on this machine together, or of each GPU where there is one.
        train, val: prepared data sets.

    Raises:
        ConfigError: the text is no amount, or nothing fits.
    """
    budget = parse_size(text)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sharing = processes_here(config.train.devices) if device.type == "cpu" else 1
    chosen, found = fit_budget(config, budget // sharing, lambda candidate: foretell(candidate, train, val, device))
    what = ", ".join(changes(config, chosen)) or "the settings as they are"
    each = f" for each of {sharing} processes" if sharing > 1 else ""
    return chosen, f"{in_words(budget)} of memory: {what}; about {in_words(found.total)}{each}"


def changes(before: Config, after: Config) -> list[str]:
    """What is different in two configurations' training, as `train.name=value`."""
    one, other = before.train.model_dump(mode="json"), after.train.model_dump(mode="json")
    return [f"train.{name}={str(value).lower()}" for name, value in other.items() if one[name] != value]


def _candidates(config: Config) -> Iterator[Config]:
    yield config
    config = _changed(config, checkpoint_activations=True)
    while True:
        yield config
        train = config.train
        if train.batch_size == 1:
            return
        if train.batch_size % 2:  # the next even division; an odd batch goes to single photos
            config = _changed(config, batch_size=1, accumulate=train.accumulate * train.batch_size)
        else:
            config = _changed(config, batch_size=train.batch_size // 2, accumulate=train.accumulate * 2)


def _changed(config: Config, **settings: object) -> Config:
    return config.model_copy(update={"train": config.train.model_copy(update=settings)})
