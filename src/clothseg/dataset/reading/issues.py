"""What the reader of COCO files does with rows that are not as they should be: one rule for each kind."""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Literal, get_args

from clothseg.errors import shell_command

Section = Literal["", "categories", "images", "annotations"]
SECTIONS: tuple[Section, ...] = get_args(Section)[1:]


_LONGEST = 300  # characters of a message


class Action(StrEnum):
    """What happens: a row is used as it is, corrected from the rest of the file, left out, or the file is refused."""

    NOTED = "noted"
    CORRECTED = "corrected"
    DROPPED = "dropped"
    REFUSED = "refused"


@dataclass(frozen=True)
class Rule:
    """The rule for one kind of fault: what happens, and words for a summary."""

    action: Action
    summary: str = ""


RULES: dict[str, Rule] = {
    # used as they are
    "box_only": Rule(Action.NOTED, "objects with a box and no mask"),
    # corrected
    "crowd_box": Rule(Action.CORRECTED, "crowds without a mask, which get the area of their box"),
    "number_form": Rule(Action.CORRECTED, "numbers written as text or float"),
    "missing_figure": Rule(Action.CORRECTED, "rows without bbox, area or iscrowd"),
    "wrong_box": Rule(Action.CORRECTED, "boxes computed from their mask"),
    "size_from_photo": Rule(Action.CORRECTED, "photos whose size was read from the file"),
    "photo_name": Rule(Action.CORRECTED, "photos found under another name or in another folder"),
    "polygon_dropped": Rule(Action.CORRECTED, "masks without their polygons of fewer than 3 points"),
    "two_corners": Rule(Action.CORRECTED, "rectangles written as two corners"),
    "id_not_whole": Rule(Action.CORRECTED, "ids written as text or float"),
    "no_own_id": Rule(Action.CORRECTED, "annotations without an id of their own"),
    "class_name_spaces": Rule(Action.CORRECTED, "class names with extra spaces"),
    "classes_from_zero": Rule(Action.CORRECTED, "class ids counted from 0"),
    # left out
    "null_row": Rule(Action.DROPPED, "empty rows"),
    "repeated_row": Rule(Action.DROPPED, "rows that are in the list twice"),
    "unused_root_class": Rule(Action.DROPPED, "classes that only group the others"),
    # refused
    "not_coco": Rule(Action.REFUSED),
    "missing_key": Rule(Action.REFUSED),
    "wrong_type": Rule(Action.REFUSED),
    "duplicate_id": Rule(Action.REFUSED),
    "class_name_case": Rule(Action.REFUSED),
    "class_name_twice": Rule(Action.REFUSED),
    "category_below_one": Rule(Action.REFUSED),
    "unknown_image": Rule(Action.REFUSED),
    "unknown_category": Rule(Action.REFUSED),
    "broken_segmentation": Rule(Action.REFUSED),
    "few_points": Rule(Action.REFUSED),
    "broken_rle": Rule(Action.REFUSED),
    "rle_size": Rule(Action.REFUSED),
}
"""Every kind that the reader reports."""

Need = Literal["", "photos"]
"""Who a refusal is for: everybody, or only those who need the photos."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One fault of one row.

    Attributes:
        kind: a key of `RULES`.
        section: the list that the row is in; empty for the file.
        row: its position in the list, from 0.
        label: the row in words, such as `annotation 7`.
        message: what is wrong.
        need: who cannot use the file because of it.
        other: the position of an earlier row that it clashes with.
    """

    kind: str
    section: Section
    row: int | None
    label: str
    message: str
    need: Need = ""
    other: int | None = None

    def text(self) -> str:
        """For example `annotation 7: bbox is missing`."""
        return f"{self.label}: {self.message}" if self.label else self.message


@dataclass
class IssueLog:
    """Collects issues. It counts all, and keeps all or only the first of each kind.

    Attributes:
        keep: how many issues of each kind are kept; None keeps all.
        issues: those that are kept, in the order of reading.
    """

    keep: int | None = None
    issues: list[Issue] = field(default_factory=list)
    _counts: Counter[tuple[str, Need]] = field(default_factory=Counter)

    def add(self, issue: Issue) -> None:
        """Counts an issue, and keeps it if there are not too many. Long texts of the file are cut in its words."""
        if len(issue.message) > _LONGEST or len(issue.label) > _LONGEST:
            issue = replace(issue, label=_cut(issue.label), message=_cut(issue.message))
        key = (issue.kind, issue.need)
        self._counts[key] += 1
        if self.keep is None or self._counts[key] <= self.keep:
            self.issues.append(issue)

    def refused(self, needs: Collection[Need]) -> tuple[list[Issue], int]:
        """The kept issues that refuse the file for somebody with these needs, and how many there are in all."""
        wanted = {"", *needs}
        found = [i for i in self.issues if i.need in wanted and RULES[i.kind].action == Action.REFUSED]
        total = sum(
            n for (kind, need), n in self._counts.items() if need in wanted and RULES[kind].action == Action.REFUSED
        )
        return found, total

    def corrections(self) -> tuple["Correction", ...]:
        """What was noted, corrected or left out, by kind, in the order of `RULES`."""
        answer = []
        for kind, rule in RULES.items():
            number = sum(n for (k, _), n in self._counts.items() if k == kind)
            if number and rule.action != Action.REFUSED:
                examples = tuple(issue.text() for issue in self.issues if issue.kind == kind)[:3]
                answer.append(Correction(kind, number, examples))
        return tuple(answer)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


@dataclass(frozen=True)
class Correction:
    """One kind of row that the reader noted, corrected or left out: how often, and the first examples."""

    kind: str
    count: int
    examples: tuple[str, ...]

    @property
    def action(self) -> Action:
        """Whether the rows were noted, corrected or dropped."""
        return RULES[self.kind].action

    def text(self) -> str:
        """For example `ids written as text or float (8)`."""
        return f"{RULES[self.kind].summary} ({self.count})"


def describe_corrections(file: Path | str, corrections: Iterable[Correction]) -> str:
    """One line for a file, such as `train.json: corrected: empty rows (3)`, with advice; empty if there are none."""
    found = list(corrections)
    parts = [
        f"{words} {', '.join(c.text() for c in found if c.action == action)}"
        for action, words in (
            (Action.NOTED, "labels that are boxes alone:"),
            (Action.CORRECTED, "corrected:"),
            (Action.DROPPED, "left out:"),
        )
        if any(c.action == action for c in found)
    ]
    check = shell_command(["clothseg", "dataset", "check", file])
    return f"{file}: {'; '.join(parts)}. Details: {check}" if parts else ""
