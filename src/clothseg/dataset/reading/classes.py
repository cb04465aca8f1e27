"""Reads the classes of a COCO file."""

from collections.abc import Mapping, Sequence
from typing import Any

from clothseg.dataset.reading.issues import Issue, IssueLog
from clothseg.dataset.reading.rows import CategoryRow
from clothseg.dataset.reading.values import Id, describe, read_id
from clothseg.errors import shown
from clothseg.instances.class_names import class_name_key, tidy_class_name, twice, wrong_class_name

_GROUP = "none"  # Roboflow's supercategory of the class that only groups the others


def read_categories(rows: Sequence[tuple[int, dict[str, Any]]], used: set[Id], log: IssueLog) -> list[CategoryRow]:
    """Reads the list of classes.

    Args:
        rows: position and JSON of each.
        used: the ids that annotations have.
        log: receives the issues.

    Returns:
        The classes, without those that only group others and without repeated rows.
    """
    groups = {raw.get("supercategory") for _, raw in rows if isinstance(raw.get("supercategory"), str)}
    found: list[CategoryRow] = []
    by_id: dict[Id, CategoryRow] = {}
    for row, raw in rows:
        category = _category(row, raw, log)
        if category.id is not None and category.id not in used and _only_groups(raw, category, groups):
            message = f"{category.name!r} is no class of its own and no annotation has it"
            log.add(Issue("unused_root_class", "categories", row, _label(category), message))
            continue
        first = by_id.setdefault(category.id, category) if category.id is not None else category
        if first is not category:
            if first.name == category.name:
                message = f"the same class is at categories[{first.row}] already"
                log.add(Issue("repeated_row", "categories", row, _label(category), message, other=first.row))
                continue
            message = f"id {category.id!r} is also the id of {first.name!r}"
            log.add(Issue("duplicate_id", "categories", row, _label(category), message, other=first.row))
        found.append(category)
    _check_names(found, log)
    return found


def check_lowest_id(categories: Sequence[CategoryRow], photo_ids: Mapping[Id, Any], log: IssueLog) -> None:
    """Refuses class ids below 1, except 0 in a file that counts its photos from 0 too.

    In a file that counts photos from 1, a class 0 is a background, or the ids were shifted.
    """
    from_zero = 0 in photo_ids
    for category in categories:
        if not isinstance(category.id, int) or category.id >= 1:
            continue
        if from_zero and category.id == 0:
            message = f"class {category.name!r} has id 0, as the file counts everything from 0"
            log.add(Issue("classes_from_zero", "categories", category.row, _label(category), message))
        else:
            message = (
                f"class {category.name!r} has id {category.id}; ids start at 1, because 0 is background: give it "
                "another id, here and in the annotations; `clothseg dataset check DATA --write-clean CLEAN` does that"
            )
            log.add(Issue("category_below_one", "categories", category.row, _label(category), message))


def _category(row: int, raw: dict[str, Any], log: IssueLog) -> CategoryRow:
    number, given = read_id(raw.get("id")), raw.get("name")
    label = f"category {describe(raw['id'])}" if number is None and "id" in raw else f"categories[{row}]"
    label = f"category {number}" if number is not None else label
    missing = [key for key in ("id", "name") if raw.get(key) is None]
    if missing:
        log.add(Issue("missing_key", "categories", row, label, f"{' and '.join(missing)} missing"))
    if "id" not in missing and number is None:
        log.add(
            Issue("wrong_type", "categories", row, label, f"id must be a whole number, found {describe(raw['id'])}")
        )
    elif number is not None and type(raw["id"]) is not int:
        message = f"id must be a whole number, found {describe(raw['id'])}"
        log.add(Issue("id_not_whole", "categories", row, label, message))
    name = tidy_class_name(given) if isinstance(given, str) else ""
    if "name" not in missing and (wrong := wrong_class_name(given)):
        log.add(Issue("wrong_type", "categories", row, label, f"{wrong}, found {describe(given)}"))
    elif given is not None and name != given:
        log.add(Issue("class_name_spaces", "categories", row, label, f"the name {shown(given)} becomes {name!r}"))
        raw = raw | {"name": name}
    return CategoryRow(row, number, name, raw)


def _only_groups(raw: dict[str, Any], category: CategoryRow, groups: set[Any]) -> bool:
    """Whether this is Roboflow's root class, or a class 0 for what no object covers."""
    name = raw.get("name")
    root = str(raw.get("supercategory")).casefold() == _GROUP and isinstance(name, str) and name in groups
    return root or (category.id == 0 and category.name.strip("_").casefold() == "background")


def _check_names(categories: Sequence[CategoryRow], log: IssueLog) -> None:
    first: dict[str, CategoryRow] = {}
    for category in categories:
        if not category.name:
            continue
        other = first.setdefault(class_name_key(category.name), category)
        if other is not category and other.id != category.id:
            kind = "class_name_twice" if other.name == category.name else "class_name_case"
            message = twice(other.name, category.name)
            log.add(Issue(kind, "categories", category.row, _label(category), message, other=other.row))


def _label(category: CategoryRow) -> str:
    return f"categories[{category.row}]" if category.id is None else f"category {category.id}"
