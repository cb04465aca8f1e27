"""Tensors into a network, with a report of every key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from torch import Tensor, nn

from clothseg.errors import WeightsError
from clothseg.http import TransferProgress
from clothseg.networks import Network
from clothseg.runs import RunFolder
from clothseg.weights.catalogue import PUBLISHED, fetch, published
from clothseg.weights.class_transfer import plain_name, shared_classes, transfer_class_rows
from clothseg.weights.converted import ConvertedWeights
from clothseg.weights.formats.efficientnet_lite import BUNDLED
from clothseg.weights.formats.timm import for_extractor
from clothseg.weights.read import read_weights


@dataclass(frozen=True)
class LoadReport:
    """What became of every key of a weights file and of the network.

    Attributes:
        source: where the weights came from, for people.
        taken: names in the network that were filled.
        left_out: names in the file that were not used, on purpose or because the network has no such part.
        missing: names in the network that stayed as they were.
        wrong_shape: names with the network's and the file's shape; they stayed as they were.
        renamed: of the file's keys that have another name in the network, that name.
        changed: what was done to a tensor besides renaming it, by the file's key.
        reasons: why a key was left out, where it is known.
        carried: classes whose rows were taken over into heads that are otherwise new.
        notes: what a person should know of this file in this network.
    """

    source: str
    loaded: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    shape_mismatch: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    transferred: list[str] | None = None
    notes: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """The report in one sentence."""
        parts = [f"{len(self.loaded)} tensors taken from {self.source}"]
        other = (
            f", {len(self.shape_mismatch)} of them because the file's have another shape" if self.shape_mismatch else ""
        )
        parts += [f"{len(self.missing)} start new{other}"] if self.missing else []
        parts += [f"{len(self.unused)} of the file not needed"] if self.unused else []
        if self.transferred is not None:
            kept = f"of background and of {', '.join(self.transferred)}" if self.transferred else "of background alone"
            parts.append(f"last layers new for these classes, with the rows {kept}")
        return "; ".join([", ".join(parts), *self.notes])


def load_tensors(
    network: nn.Module, tensors: Mapping[str, Tensor], source: str, exclude: Sequence[str] = ()
) -> LoadReport:
    """Fill `network` with `tensors` of our names, except those that begin with one of `exclude`.

    A layer is taken whole or not at all: where one of its tensors has another shape, its others stay new too.

    Raises:
        WeightsError: not one tensor fits, or nothing in the network begins as `exclude` says.
    """
    state = network.state_dict()
    for beginning in exclude:
        if not any(name.startswith(beginning) for name in state):
            parts = ", ".join(dict.fromkeys(name.split(".")[0] for name in state))
            raise WeightsError(f"exclude {beginning!r}: nothing in the network begins so; its parts are {parts}, heads")
    report = LoadReport(source)
    misfits = {_layer(n) for n, tensor in tensors.items() if n in state and state[n].shape != tensor.shape}
    chosen = {}
    for name, tensor in tensors.items():
        if name not in state:
            report.unused.append(name)
        elif name.startswith(tuple(exclude)):
            report.unused.append(name)
            report.reasons[name] = "excluded by wish"
        elif state[name].shape != tensor.shape:
            report.shape_mismatch.append(f"{name}: {tuple(state[name].shape)} here, {tuple(tensor.shape)} in the file")
        elif _layer(name) in misfits:
            report.unused.append(name)
            report.reasons[name] = "another tensor of its layer has another shape"
        else:
            chosen[name] = tensor
    report.loaded.extend(chosen)
    report.missing.extend(name for name in state if name not in chosen)
    if not chosen:
        raise WeightsError(f"{source}: no tensor of it fits this network; was it made for another backbone?")
    network.load_state_dict(chosen, strict=False)
    return report


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def load_converted(
    network: Network,
    converted: ConvertedWeights,
    source: str,
    exclude: Sequence[str] = (),
    classes: Sequence[str] | None = None,
) -> LoadReport:
    """Fill `network`, made for `classes`, with a file of perhaps other classes.

    Heads of other classes are made anew, but for the rows of background and of classes that both have by name.

    Raises:
        WeightsError: not one tensor fits.
    """
    tensors, old, transferred = converted.tensors, converted.classes, None
    if old is not None and classes is not None and [plain_name(n) for n in old] != [plain_name(n) for n in classes]:
        tensors = transfer_class_rows(tensors, network.state_dict(), old, classes, network.class_layers)
        if not all(layer.startswith(tuple(exclude)) for layer in network.class_layers):
            transferred = [classes[number - 1] for number in shared_classes(old, classes) if number]
    report = load_tensors(network, tensors, source, exclude)
    whole = LoadReport(**(vars(report) | {"transferred": transferred}))
    keys = {name: key for key, name in converted.renamed.items() if key not in converted.changed}
    whole.renamed.update({key: name for key, name in converted.renamed.items() if key != name})
    whole.changed.update(converted.changed)
    whole.reasons.update({keys.get(name, name): why for name, why in report.reasons.items()})
    whole.reasons.update(converted.unused)
    whole.unused[:] = [keys.get(name, name) for name in whole.unused] + list(converted.unused)
    return whole


def load_initial_weights(
    network: Network,
    source: str,
    exclude: Sequence[str] = (),
    classes: Sequence[str] | None = None,
    progress: TransferProgress | None = None,
) -> LoadReport:
    """Fill `network` from what `Config.weights` names.

    Args:
        network: as from `build_network`.
        source: `random`, one of `BUNDLED` such as `imagenet-efficientnet-lite0`, a name of the catalogue, a run's
            folder, or a weights file of anybody's.
        exclude: beginnings of names to leave as they are; `heads` stands for all three heads.
        classes: names of the network's classes, for rows of last layers that can be carried over.
        progress: told how far a download is.

    Raises:
        WeightsError: the source is not known, cannot be read, or does not fit.
    """
    if source == "random":
        return LoadReport("random numbers", missing=list(network.state_dict()))
    prefixes = [prefix for name in exclude for prefix in (network.head_prefixes if name == "heads" else (name,))]
    if bundled := BUNDLED.get(source):
        tensors = {f"backbone.model.{name}": tensor for name, tensor in bundled.tensors().items()}
        report = load_tensors(network, tensors, bundled.title, prefixes)
        return _with_whole_backbone(report, prefixes, bundled.backbone, network)
    path = Path(source)
    if path.is_dir() and not RunFolder(path).weights.is_file():
        raise WeightsError(
            f"weights {source!r}: a folder, but not one of a finished run (no {RunFolder(path).weights.name})"
        )
    if not path.exists():
        path = fetch(published(_known(source), network.config.backbone.name), progress=progress)
    converted = read_weights(path)
    if network.config.backbone.name.startswith("timm/") and converted.classes is None:
        converted = for_extractor(converted, network.state_dict().keys())
    theirs = str(converted.settings.get("backbone", {}).get("name", ""))
    report = _with_whole_backbone(
        load_converted(network, converted, source, prefixes, classes), prefixes, theirs, network
    )
    report.notes.extend(_differences(converted, network))
    return report


def _known(source: str) -> str:
    """The name of published weights.

    Raises:
        WeightsError: it is none.
    """
    names = ["random", "imagenet", *BUNDLED, *PUBLISHED]
    if source in names:
        return source
    near = get_close_matches(source, names, n=2)
    meant = (
        f"did you mean {' or '.join(near)}?" if near else "`clothseg weights download` lists the names that there are"
    )
    raise WeightsError(f"weights {source!r}: no such file or folder, and no name of published weights; {meant}")


def _with_whole_backbone(report: LoadReport, exclude: Sequence[str], theirs: str, network: Network) -> LoadReport:
    """The report, if the file, whose trunk is called `theirs`, filled the trunk but for what `exclude` says."""
    missing = [name for name in report.missing if name.startswith("backbone.")]
    if not (unfilled := [name for name in missing if not name.startswith(tuple(exclude))]):
        return report
    ours = network.config.backbone.name
    if theirs not in ("", ours):
        raise WeightsError(
            f"{report.source}: its backbone is {theirs}, the configuration's is {ours}; "
            f"`clothseg weights inspect {report.source} --settings > FILE.yaml` makes one for --config that fits"
        )
    wrong = f" ({'; '.join(report.shape_mismatch[:2])})" if report.shape_mismatch else ""
    raise WeightsError(
        f"{report.source}: {len(unfilled)} tensors of the backbone are not in it, among them "
        f"{', '.join(unfilled[:3])}{wrong}; was it made for another backbone?"
    )


def _differences(converted: ConvertedWeights, network: Network) -> list[str]:
    """A note if the file was made under other conventions than the network's."""
    theirs = converted.settings.get("network", {}).get("conventions", "torchvision")
    ours = getattr(network.config.network, "conventions", theirs)
    if theirs == ours:
        return []
    return [
        f"the file was trained with {theirs}'s conventions, this network has {ours}'s: set network.conventions={theirs}"
    ]
