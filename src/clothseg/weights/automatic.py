"""Which initial weights `weights: auto` means."""

from collections.abc import Sequence
from pathlib import Path

from clothseg.config import Config
from clothseg.errors import WeightsError
from clothseg.weights.catalogue import AUTO, INSTALLED
from clothseg.weights.check import weights_file
from clothseg.weights.converted import shared_classes
from clothseg.weights.formats.efficientnet_lite import BUNDLED
from clothseg.weights.formats.native_metadata import read_metadata


def with_initial_weights(config: Config, classes: Sequence[str]) -> Config:
    """`config` with the name of the weights that `auto` means for `classes`; `config` itself if it names others.

    It is an installed network of the same kind and backbone that knows one of the classes by name. If there is none, it
    is the backbone's ImageNet weights that come with an installed package.

    Raises:
        WeightsError: nothing that is installed fits the backbone, or the installed network is damaged.
    """
    if config.weights != AUTO:
        return config
    backbone = config.backbone.name
    networks = [name for name in INSTALLED if _fits(name, config, classes)]
    backbones = [name for name, bundled in BUNDLED.items() if bundled.backbone == backbone]
    if not (fitting := networks + backbones):
        raise WeightsError(
            f"weights auto: no weights for the backbone {backbone} are installed; name some, for example with "
            "`--weights imagenet`, which downloads them"
        )
    return config.model_copy(update={"weights": fitting[0]})


def installed_with_more_classes(classes: Sequence[str]) -> str | None:
    """An installed network that knows one of `classes` by name, and another class besides; None if there is none.

    Raises:
        WeightsError: an installed network is damaged.
    """
    for name in INSTALLED:
        known = read_metadata(weights_file(Path(name)))
        if known and 1 < len(shared_classes(known[1], classes)) <= len(known[1]):  # background is always shared
            return name
    return None


def _fits(name: str, config: Config, classes: Sequence[str]) -> bool:
    known = read_metadata(weights_file(Path(name)))
    if known is None:  # a file of another program has this name
        return False
    theirs, names = known
    same = (theirs.network.name, theirs.backbone.name) == (config.network.name, config.backbone.name)
    return same and len(shared_classes(names, classes)) > 1  # background is always shared
