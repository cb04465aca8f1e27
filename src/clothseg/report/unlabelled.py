"""What a run learned from photos without labels: how the teacher labelled them, and what can be said of the gain."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clothseg.errors import RunError, reading
from clothseg.evaluation.truth import read_truth
from clothseg.instances import Instances
from clothseg.report.choice import sample_of_classes
from clothseg.report.figures import EmbeddedPhoto
from clothseg.report.teacher_examples import EXAMPLES, draw_examples
from clothseg.runs import RunFolder


@dataclass(frozen=True)
class TeacherLabels:
    """Labels that a teacher gave to photos without labels.

    Attributes:
        photos: how many photos there are.
        rounds: `PseudoLabels.summary` of each time that the teacher was asked.
        examples: photos with the last labels.
        unread: names of photos that cannot be read any more.
        gain: what the validation photos say about the gain, for people.
    """

    photos: int
    rounds: list[dict[str, Any]]
    examples: list[EmbeddedPhoto]
    unread: list[str]
    gain: str

    @property
    def second_opinion(self) -> bool:
        """Whether another network was asked about the labels, and changed something."""
        return any(one["contradicted"] or one["empty"] for one in self.rounds)


def teacher_labels(run: Path, history: Sequence[Mapping[str, str]]) -> TeacherLabels | None:
    """What a run's teacher said; None if the run has no photos without labels, or had not asked the teacher.

    Args:
        run: the run's folder.
        history: rows of its `history.csv`, as text by column.

    Raises:
        RunError: the file with the labels is damaged.
    """
    path = RunFolder(run).pseudo_labels
    if not path.is_file():
        return None
    with reading(path, RunError, "train the run again"):
        tree = json.loads(path.read_text(encoding="utf-8"))
        told = tree["info"]["rounds"]
        rounds = [{"empty": 0, "contradicted": 0, **one, "class_thresholds": {**_thresholds(one)}} for one in told]
        first = int(rounds[0]["epoch"])
        for row in tree["annotations"]:
            row["score"] = float(row.get("score", 1.0))
    truth = read_truth(tree, ())

    def describe(instances: Instances) -> str:
        objects = instances[~instances.crowd]
        ignored = len(instances) - len(objects)
        pairs = zip(objects.classes.tolist(), objects.scores, strict=True)
        names = ", ".join(f"{truth.names[class_id]} {score:.2f}" for class_id, score in pairs)
        return f"{names}{f'; {ignored} ignored' if ignored else ''}"

    chosen = sample_of_classes(truth, EXAMPLES, crowds=False)
    examples, unread = draw_examples(truth, chosen, describe, scores=True)
    return TeacherLabels(len(truth.images), rounds, examples, unread, describe_gain(history, first))


def _thresholds(one: Mapping[str, Any]) -> Mapping[str, float]:
    """The thresholds of a round, which have another name in files of earlier versions."""
    thresholds: Mapping[str, float] = one["class_thresholds"] if "class_thresholds" in one else one["sure_scores"]
    return thresholds


def describe_gain(history: Sequence[Mapping[str, str]], first: int) -> str:
    """What the validation photos say about the gain: never that there is one, which takes a second run.

    Args:
        history: rows of `history.csv`, as text by column.
        first: the epoch after which the teacher was asked first.
    """
    values = {int(row["epoch"]): float(row.get("mask_AP") or "nan") for row in history}
    known = {epoch: value for epoch, value in values.items() if math.isfinite(value)}
    before = max((epoch for epoch in known if epoch <= first), default=None)
    last = max((epoch for epoch in known if epoch > first), default=None)
    advice = (
        "Whether these photos helped cannot be seen in one run, because the training went on in any case: train the "
        "same configuration without --unlabelled, evaluate both runs, and use clothseg compare."
    )
    if before is None or last is None:
        return advice
    change = f"Validation mask AP was {100 * known[before]:.1f} after epoch {before} and {100 * known[last]:.1f} after "
    change += f"epoch {last}."
    if known[last] <= known[before]:
        return f"{change} It did not rise after the photos without labels came in. {advice}"
    return f"{change} {advice}"
