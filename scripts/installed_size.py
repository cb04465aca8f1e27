"""Prints how much disk an installation takes: a package with all that it requires, as they are installed here.

    python scripts/installed_size.py clothseg
    python scripts/installed_size.py clothseg --without torch torchvision
    python scripts/installed_size.py --requirements requirements-light.txt

Files that pip lists count, compiled ones too; megabytes are 10^6 bytes.
"""

import argparse
from collections.abc import Collection, Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(roots: Iterable[str], without: Collection[str] = ()) -> dict[str, Distribution]:
    """The installed distributions that `roots` require, themselves too, by canonical name.

    Args:
        roots: requirements, such as `clothseg[serve]`.
        without: canonical names that are left out, with what only they require.

    Raises:
        PackageNotFoundError: one is not installed.
    """
    found: dict[str, Distribution] = {}
    done: set[tuple[str, frozenset[str]]] = set()
    pending = [Requirement(root) for root in roots]
    while pending:
        wanted = pending.pop()
        name = canonicalize_name(wanted.name)
        key = (name, frozenset(wanted.extras))
        if name in without or key in done:
            continue
        done.add(key)
        try:
            found[name] = distribution(name)
        except PackageNotFoundError as error:
            raise PackageNotFoundError(f"{name}: not installed, but required") from error
        for text in found[name].requires or ():
            below = Requirement(text)
            if below.marker is None or any(below.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras)):
                pending.append(below)
    return found


def size_of(installed: Distribution) -> int:
    """The bytes of the files of a distribution that exist."""
    paths = (Path(str(installed.locate_file(file))) for file in installed.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file())


def read_requirements(path: Path) -> list[str]:
    """The requirements of a file for `pip install -r`, without comments."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def main() -> None:
    """Prints the largest parts and the sum."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("roots", nargs="*", help="requirements")
    parser.add_argument("--requirements", type=Path, help="a file of requirements")
    parser.add_argument("--without", nargs="*", default=[], help="packages that are left out")
    parser.add_argument("--parts", type=int, default=12, help="how many of the largest are printed")
    given = parser.parse_args()
    roots = [*given.roots, *(read_requirements(given.requirements) if given.requirements else ())]
    sizes = {name: size_of(found) for name, found in closure(roots, given.without).items()}
    for name, size in sorted(sizes.items(), key=lambda item: -item[1])[: given.parts]:
        print(f"{size / 1e6:8.0f} MB  {name}")
    print(f"{sum(sizes.values()) / 1e6:8.0f} MB  {len(sizes)} packages together")


if __name__ == "__main__":
    main()
