"""How functions that take long show their progress: they hand their items to a function that wraps them."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")


class ProgressBar(Protocol):
    """Wraps an iteration, to show its progress."""

    def __call__(self, items: Iterable[T], total: int, what: str, /) -> Iterable[T]:
        """Yields the items.

        Args:
            items: to iterate over.
            total: number of items; 0 if it is not known.
            what: text beside the bar.
        """
        ...


def no_progress(items: Iterable[T], total: int, what: str, /) -> Iterable[T]:
    """Returns the items: no progress is shown."""
    return items
