"""HTML pages from templates: the one place that sets up jinja."""

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render_page(
    folder: str, template: str, values: Mapping[str, Any], filters: Mapping[str, Callable[..., Any]] | None = None
) -> str:
    """The HTML of a template; text in it is escaped, and a value that is missing is an error.

    Args:
        folder: of the template, inside the package, such as `report`.
        template: its file name.
        values: by the names that the template uses.
        filters: functions that the template may apply, by name.
    """
    environment = Environment(
        loader=PackageLoader("clothseg", folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= dict(filters or {})
    return environment.get_template(template).render(values)
