"""Options of earlier versions: each gives an error that names the new option."""

from collections.abc import Sequence

from clothseg.errors import ClothsegError

_SCORE = {"--min-confidence": "--score-threshold"}
_DETECT = _SCORE | {"--cross-class-iou": "--class-agnostic-nms"}
RENAMED_OPTIONS: dict[tuple[str, ...], dict[str, str]] = {
    ("fit",): {
        "--start-from": "--weights",
        "--extend": "--more-epochs",
        "--memory": "--max-memory",
        "--on-nan": "--on-nonfinite",
        "--overfit-one": "--overfit-one-image",
    },
    ("predict",): _DETECT | {"--every": "--frame-stride", "--classes": "--class-names"},
    ("cutout",): _DETECT,
    ("compose",): _DETECT,
    ("figures",): _SCORE,
    ("compare",): _SCORE,
    ("evaluate",): _SCORE | {"--untrained": "--initial-weights"},
    ("weights", "convert"): {"--classes": "--class-names"},
    ("dataset", "check"): {"--quarantine": "--write-clean"},
    ("dataset", "build"): {"--unmasked": "--boxes-without-mask"},
}
"""By command, the new name of each option of earlier versions."""


def refuse_renamed_options(arguments: Sequence[str]) -> None:
    """Refuses options that have a new name.

    Args:
        arguments: the command line without the program's name.

    Raises:
        ClothsegError: there is one; the message has the new name.
    """
    words = [word for word in arguments if not word.startswith("-")]
    for command, options in RENAMED_OPTIONS.items():
        if tuple(words[: len(command)]) == command:
            for given in arguments:
                if new := options.get(given.split("=")[0]):
                    raise ClothsegError(f"{given.split('=')[0]} is now {new} (clothseg {' '.join(command)})")
