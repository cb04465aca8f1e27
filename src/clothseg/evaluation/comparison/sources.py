"""What is known of the runs and results files that are compared: facts, which belong together, and their titles."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clothseg.config import Config
from clothseg.evaluation.comparison.values import SourceFacts
from clothseg.runs import RunFolder


@dataclass(frozen=True)
class Source:
    """A run, or a COCO results file.

    Attributes:
        path: the run's folder, or the file.
        facts: what is known of it.
        config: of the run, if it has one.
    """

    path: Path
    facts: SourceFacts
    config: Config | None

    @property
    def name(self) -> str:
        """The name of the folder, or that of the file without its ending."""
        return self.path.resolve().name if self.path.is_dir() else self.path.stem


def read_source(path: Path) -> Source:
    """Reads configuration and facts of a run; a results file has none.

    Raises:
        ConfigError: the configuration cannot be read.
        RunError: `run.json` is damaged.
    """
    if not path.is_dir():
        return Source(path, SourceFacts(str(path)), None)
    folder = RunFolder(path)
    config = Config.load_saved(folder.config) if folder.config.is_file() else None
    known = folder.read_facts()
    parameters = (known.get("parameters") or {}).get("total")
    seconds = (known.get("timings") or {}).get("train")
    facts = SourceFacts(
        str(path),
        network=(config.network.title or config.network.name) if config else None,
        backbone=config.backbone.name if config else None,
        seed=config.train.seed if config else None,
        parameters=None if parameters is None else int(parameters),
        weights_bytes=folder.weights.stat().st_size if folder.weights.is_file() else None,
        training_seconds=None if seconds is None else float(seconds),
    )
    return Source(path, facts, config)


def group_by_seed(sources: Sequence[Source], *, group: bool | None = None) -> list[tuple[Source, ...]]:
    """Puts runs together whose configurations are equal except for the seed; each group by rising seed.

    Args:
        sources: what is compared, no path twice.
        group: False puts none together; None does so only if at least two groups remain.
    """
    groups: dict[str, list[Source]] = {}
    for number, source in enumerate(sources):
        key = f"alone {number}"
        if source.config is not None and group is not False:
            key = source.config.changed("train", seed=0).to_yaml()
            if any(other.facts.seed == source.facts.seed for other in groups.get(key, ())):
                key = f"{key} {number}"  # the same seed twice is not a sample of seeds
        groups.setdefault(key, []).append(source)
    if group is None and len(groups) < 2:
        return [(source,) for source in sources]
    return [tuple(sorted(of, key=lambda source: source.facts.seed or 0)) for of in groups.values()]


def titles_of(groups: Sequence[Sequence[Source]]) -> list[str]:
    """A different title for each group: its network's name, or its first folder's name where networks are equal."""
    networks = Counter(of[0].facts.network for of in groups)
    titles = []
    for of in groups:
        network = of[0].facts.network
        title = network if network is not None and networks[network] == 1 else of[0].name
        if title in titles:
            title = of[0].facts.path
        number = 2
        unique = title
        while unique in titles:
            unique, number = f"{title} ({number})", number + 1
        titles.append(unique)
    return titles
