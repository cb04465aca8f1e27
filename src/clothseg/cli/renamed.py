"""Options of earlier versions, and words of other tools: each gives an error that names what it is called here."""

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


_OUT = dict.fromkeys(("--output", "--output-dir", "--out-dir", "--save-dir", "-o"), "--out")
_QUIET = dict.fromkeys(("-q", "--silent"), "--quiet")
_GPU = {"--gpu": "--device cuda", "--cuda": "--device cuda", "--cpu": "--device cpu"}
_CONFIDENCE = dict.fromkeys(
    ("--conf", "--conf-thres", "--conf-threshold", "--confidence", "--score", "--min-score"), "--score-threshold"
)
_NETWORK = dict.fromkeys(("--weights", "--model", "--run", "--checkpoint"), "the first argument, without an option")
_PHOTOS = dict.fromkeys(("--source", "--input", "--photos"), "the second argument, without an option")
_DATA = dict.fromkeys(("--data", "--dataset"), "the first argument, without an option")
_DETECTING = _OUT | _QUIET | _GPU | _CONFIDENCE | _NETWORK | _PHOTOS | {"--force": "--overwrite"}
OTHER_OPTIONS: dict[tuple[str, ...], dict[str, str]] = {
    ("fit",): _OUT
    | _QUIET
    | _GPU
    | _DATA
    | dict.fromkeys(("--model", "--pretrained", "--checkpoint"), "--weights")
    | dict.fromkeys(("--name", "--run"), "--out")
    | {
        "--epochs": "--set train.epochs=N",
        "--batch": "--set train.batch_size=N",
        "--batch-size": "--set train.batch_size=N",
        "--lr": "--set train.learning_rate=X",
        "--learning-rate": "--set train.learning_rate=X",
        "--workers": "--set train.workers=N",
        "--patience": "--set train.patience=N",
        "--seed": "--set train.seed=N",
        "--continue": "--resume",
        "--gpus": "--devices",
    },
    ("predict",): _DETECTING | {"--batch-size": "--batch", "--gpus": "--devices"},
    ("cutout",): _DETECTING | {"--classes": "--class"},
    ("evaluate",): _OUT | _QUIET | _GPU | _CONFIDENCE | _NETWORK | {"--data": "the second argument, without an option"},
    ("figures",): _OUT | _QUIET | _CONFIDENCE,
    ("compare",): _OUT | _QUIET | _CONFIDENCE,
    ("curves",): _OUT | _QUIET,
    ("compose",): _OUT | _QUIET | _GPU | _CONFIDENCE | {"--force": "--overwrite"},
    ("demo",): _OUT | _QUIET | _GPU | {"--force": "--overwrite"},
    ("dataset", "build"): _OUT | _QUIET | {"--class": "--classes", "--force": "--overwrite"},
    ("dataset", "show"): _OUT | _QUIET | {"--class": "--classes", "--force": "--overwrite"},
    ("dataset", "check"): _OUT | _QUIET | {"--fix": "--write-clean", "--clean": "--write-clean"},
    ("weights", "convert"): _OUT | _QUIET | {"--force": "--overwrite"},
}
"""By command, what options of other tools are called here."""
OTHER_COMMANDS: dict[str, str] = {
    **dict.fromkeys(("train", "finetune", "fine-tune", "learn"), "fit"),
    **dict.fromkeys(("eval", "val", "validate", "test", "score"), "evaluate"),
    **dict.fromkeys(("detect", "infer", "inference", "segment", "run"), "predict"),
    **dict.fromkeys(("cut", "cut-out", "extract", "crop"), "cutout"),
    **dict.fromkeys(("paste", "replace"), "compose"),
    **dict.fromkeys(("diff", "versus"), "compare"),
    **dict.fromkeys(("plot", "history"), "curves"),
    **{name: f"dataset {name}" for name in ("build", "check", "show", "import", "stats", "classes")},
    **{name: f"weights {name}" for name in ("inspect", "convert")},
    "download": "dataset download or weights download",
    "data": "dataset",
    "label": "predict with --labels",
    "settings": "config show",
    "presets": "config show",
}
"""What commands of other tools, and subcommands without their group, are called here."""


def refuse_renamed_options(arguments: Sequence[str]) -> None:
    """Refuses options that have a new name, and words of other tools.

    Args:
        arguments: the command line without the program's name.

    Raises:
        ClothsegError: there is one; the message has the right name.
    """
    words = [word for word in arguments if not word.startswith("-")]
    if words and (right := OTHER_COMMANDS.get(words[0])):
        raise ClothsegError(f"there is no command {words[0]}; it is `clothseg {right}`")
    for table, says in ((RENAMED_OPTIONS, "{} is now {}"), (OTHER_OPTIONS, "there is no option {}; it is {}")):
        for command, options in table.items():
            if tuple(words[: len(command)]) == command:
                for given in (word.split("=")[0] for word in arguments):
                    if new := options.get(given):
                        raise ClothsegError(f"{says.format(given, new)} (clothseg {' '.join(command)})")
