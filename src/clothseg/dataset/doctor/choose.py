"""What a cleaned copy keeps: rows without errors, and nothing that depends on a row left out."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from clothseg.dataset.doctor.findings import Finding, Location, Severity
from clothseg.dataset.doctor.ids import ambiguous_ids
from clothseg.dataset.doctor.masks import whole_polygons
from clothseg.dataset.doctor.rows import AnnotationRow, CategoryRow, ImageRow, Split

# Errors that the copy sets right without guessing: ids and names are labels, area follows from the mask.
SET_RIGHT = frozenset(
    {"id_not_whole", "category_below_one", "class_name_case", "class_id_differs", "wrong_area", "duplicate_id"}
)


@dataclass(frozen=True)
class LeftOut:
    """A row that is not in the copy, and why: the kind of finding, and words."""

    place: Location
    kind: str
    words: str


@dataclass
class Kept:
    """What the copy holds of one file."""

    split: Split
    categories: list[CategoryRow] = field(default_factory=list)
    images: list[ImageRow] = field(default_factory=list)
    annotations: list[AnnotationRow] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def drop(self, row: CategoryRow | ImageRow | AnnotationRow, kind: str, words: str) -> None:
        """Leave a row out."""
        self.left_out.append(LeftOut(row.place, kind, words))


def choose(split: Split, findings: Sequence[Finding]) -> Kept:
    """Rows of a file that the copy keeps, and those that it leaves out. `findings` may be of all files."""
    kept = Kept(split)
    wrong = _wrong(split, findings)
    unclear = ambiguous_ids(split.categories)
    for category in split.categories:
        if found := wrong.get(("categories", category.place.row)):
            kept.drop(category, found.kind, found.words)
        elif category.id in unclear:
            kept.drop(category, "duplicate_id", f"id {category.id!r} stands for two classes")
        elif any(c.id == category.id for c in kept.categories):
            kept.drop(category, "duplicate_id", f"{category.name!r} is in the list already")
        else:
            kept.categories.append(category)
    _choose_images(kept, wrong)
    _choose_annotations(kept, wrong)
    rows = {(o.place.section, o.place.row) for o in kept.left_out}  # entries that are no objects have no row yet
    kept.left_out += [LeftOut(f.place, f.kind, f.words) for key, f in wrong.items() if key not in rows]
    # What is left may be crowds alone, which nothing can be learned from.
    if kept.annotations and all(row.crowd for row in kept.annotations):
        for row in kept.annotations:
            kept.drop(row, "all_crowd", "only crowds are left in the file")
        kept.annotations = []
    return kept


def _choose_images(kept: Kept, wrong: dict[tuple[str, int | None], Finding]) -> None:
    unclear = ambiguous_ids(kept.split.images)
    taken = set()
    for image in kept.split.images:
        if found := wrong.get(("images", image.place.row)):
            kept.drop(image, found.kind, found.words)
        elif image.id in unclear:
            kept.drop(image, "duplicate_id", f"id {image.id!r} stands for two photos")
        elif image.id in taken:
            kept.drop(image, "duplicate_id", "the photo is in the list already")
        else:
            taken.add(image.id)
            kept.images.append(image)


def _choose_annotations(kept: Kept, wrong: dict[tuple[str, int | None], Finding]) -> None:
    images = {row.id for row in kept.images}
    categories = {row.id for row in kept.categories}
    for row in kept.split.annotations:
        if found := wrong.get(("annotations", row.place.row)):
            kept.drop(row, found.kind, found.words)
        elif row.image_id not in images:
            kept.drop(row, "photo_left_out", f"its photo {row.place.photo} was left out")
        elif row.category_id not in categories:
            kept.drop(row, "class_left_out", f"its class {row.category_id!r} was left out")
        else:
            kept.annotations.append(row)


def _wrong(split: Split, findings: Sequence[Finding]) -> dict[tuple[str, int | None], Finding]:
    """The first error of each row that is not set right."""
    answer: dict[tuple[str, int | None], Finding] = {}
    whole = _mended(split)
    for finding in findings:
        place = finding.place
        here = place.file == str(split.file) and finding.severity == Severity.ERROR and place.row is not None
        if not here or finding.kind in SET_RIGHT or (finding.kind == "few_points" and place.row in whole):
            continue
        answer.setdefault((place.section, place.row), finding)
    return answer


def _mended(split: Split) -> set[int | None]:
    """Rows of annotations that still have a polygon when those with fewer than 3 points are taken out."""
    return {row.place.row for row in split.annotations if whole_polygons(row.raw.get("segmentation"))}


def thinned(kept: Sequence[Kept]) -> dict[str, list[str]]:
    """Names of photos in the copy, by file, that lost an instance and so show one that looks like background."""
    answer: dict[str, list[str]] = defaultdict(list)
    for part in kept:
        still = {row.id: row.file_name for row in part.images}
        lost = {
            out.place.row
            for out in part.left_out
            if out.place.section == "annotations" and out.kind != "duplicate_instance"
        }
        names = {
            still[row.image_id]
            for row in part.split.annotations
            if row.place.row in lost and row.image_id is not None and row.image_id in still
        }
        answer[str(part.split.file)] = sorted(names)
    return dict(answer)
