"""HTML pages from templates. Only this file sets up jinja."""

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render_page(
    folder: str, template: str, values: Mapping[str, Any], filters: Mapping[str, Callable[..., Any]] | None = None
) -> str:
    """Renders a template to HTML. Text is escaped. A missing value is an error.

    Args:
        folder: the template's folder inside the package, for example `report`.
        template: the template's file name.
        values: the values that the template uses, by name.
        filters: the functions that the template uses as filters, by name.
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
