"""Selects the rows of a cleaned copy: those without errors that do not refer to a removed row."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from clothseg.dataset.doctor.findings import Finding, Location, Severity
from clothseg.dataset.doctor.ids import ambiguous_ids
from clothseg.dataset.doctor.rows import AnnotationRow, CategoryRow, ImageRow, Split
from clothseg.dataset.reading import RULES, Action

# Errors that the copy corrects without guessing: ids and names are only labels, area and box follow from the mask.
CORRECTED_ERRORS = frozenset(
    {
        *("category_below_one", "class_name_case", "class_name_twice", "class_id_differs"),
        *("duplicate_id", "wrong_area", "zero_box"),
    }
)


@dataclass(frozen=True)
class Removed:
    """A row that is not in the copy, with the kind of finding and a text as the reason."""

    location: Location
    kind: str
    message: str


@dataclass
class CleanSplit:
    """The rows of one file that the copy keeps, and those that it removes."""

    split: Split
    categories: list[CategoryRow] = field(default_factory=list)
    images: list[ImageRow] = field(default_factory=list)
    annotations: list[AnnotationRow] = field(default_factory=list)
    removed: list[Removed] = field(default_factory=list)

    def drop(self, row: CategoryRow | ImageRow | AnnotationRow, kind: str, message: str) -> None:
        """Removes a row."""
        self.removed.append(Removed(row.location, kind, message))


def choose(split: Split, findings: Sequence[Finding]) -> CleanSplit:
    """Selects the rows of a file that the copy keeps. `findings` may contain findings of other files."""
    kept = CleanSplit(split)
    wrong = _first_errors(split, findings)
    unclear = ambiguous_ids(split.categories)
    for category in split.categories:
        if found := wrong.get(("categories", category.row)):
            kept.drop(category, found.kind, found.message)
        elif category.id in unclear:
            kept.drop(category, "duplicate_id", f"id {category.id!r} belongs to two classes")
        elif any(c.id == category.id for c in kept.categories):
            kept.drop(category, "duplicate_id", f"{category.name!r} is already in the list")
        else:
            kept.categories.append(category)
    _choose_images(kept, wrong)
    _choose_annotations(kept, wrong)
    rows = {(removed.location.section, removed.location.row) for removed in kept.removed}
    # Entries that are not objects have no row, so they are not removed yet.
    kept.removed += [Removed(f.location, f.kind, f.message) for key, f in wrong.items() if key not in rows]
    kept.removed += [
        Removed(f.location, f.kind, f.message)
        for f in findings
        if f.location.file == str(split.file) and f.kind in RULES and RULES[f.kind].action == Action.DROPPED
    ]
    # Training cannot use a file with only crowds.
    if kept.annotations and all(row.crowd for row in kept.annotations):
        for row in kept.annotations:
            kept.drop(row, "all_crowd", "only crowds would remain in the file")
        kept.annotations = []
    return kept


def _choose_images(kept: CleanSplit, wrong: dict[tuple[str, int | None], Finding]) -> None:
    unclear = ambiguous_ids(kept.split.images)
    used = set()
    for image in kept.split.images:
        if found := wrong.get(("images", image.row)):
            kept.drop(image, found.kind, found.message)
        elif image.id in unclear:
            kept.drop(image, "duplicate_id", f"id {image.id!r} belongs to two photos")
        elif image.id in used:
            kept.drop(image, "duplicate_id", "the photo is already in the list")
        else:
            used.add(image.id)
            kept.images.append(image)


def _choose_annotations(kept: CleanSplit, wrong: dict[tuple[str, int | None], Finding]) -> None:
    images = {row.id for row in kept.images}
    categories = {row.id for row in kept.categories}
    for row in kept.split.annotations:
        if found := wrong.get(("annotations", row.row)):
            kept.drop(row, found.kind, found.message)
        elif row.image_id not in images:
            kept.drop(row, "photo_removed", f"its photo {row.location.photo} was removed")
        elif row.category_id not in categories:
            kept.drop(row, "class_removed", f"its class {row.category_id!r} was removed")
        else:
            kept.annotations.append(row)


def _first_errors(split: Split, findings: Sequence[Finding]) -> dict[tuple[str, int | None], Finding]:
    """The first error of each row that cannot be corrected, by list and row."""
    answer: dict[tuple[str, int | None], Finding] = {}
    without_mask = {row.location.row for row in split.annotations if row.box_only}
    for finding in findings:
        location = finding.location
        here = location.file == str(split.file) and finding.severity == Severity.ERROR and location.row is not None
        box_only = finding.kind == "zero_box" and location.row in without_mask  # no mask gives another box
        if not here or (finding.kind in CORRECTED_ERRORS and not box_only):
            continue
        answer.setdefault((location.section, location.row), finding)
    return answer


def photos_missing_instances(kept: Sequence[CleanSplit]) -> dict[str, list[str]]:
    """Names of photos in the copy that lost an instance, by file. The instance is visible, but counts as background."""
    answer: dict[str, list[str]] = defaultdict(list)
    for part in kept:
        photos = {row.id: row.file_name for row in part.images}
        lost = {
            removed.location.row
            for removed in part.removed
            if removed.location.section == "annotations" and removed.kind != "duplicate_instance"
        }
        names = {
            photos[row.image_id]
            for row in part.split.annotations
            if row.row in lost and row.image_id is not None and row.image_id in photos
        }
        answer[str(part.split.file)] = sorted(names)
    return dict(answer)
