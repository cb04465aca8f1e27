"""What `predict --rank-for-labelling` does before it predicts."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from clothseg.cli.terminal import ERRORS, fail_for_unread, progress_bar, walk
from clothseg.counting import counted
from clothseg.errors import ClothsegError
from clothseg.videos import is_video

if TYPE_CHECKING:
    from clothseg.models import Model


def check_ranking(
    paths: Sequence[Path], devices: int, first: int | None, labels: Sequence[object] | None, *, rank: bool
) -> None:
    """Refuses options that do not go together.

    Raises:
        ClothsegError: `--label-first` without `--rank-for-labelling`, or a ranking with videos, with several devices,
            or with labels but no number of photos to label.
    """
    if first and not rank:
        raise ClothsegError("--label-first needs --rank-for-labelling")
    if videos := [path for path in paths if is_video(path)]:
        raise ClothsegError(f"--rank-for-labelling orders photos, but {videos[0]} is a video; leave it out")
    if devices > 1:
        raise ClothsegError("--rank-for-labelling runs on one device; leave out --devices")
    if labels and not first:
        raise ClothsegError("--labels with --rank-for-labelling needs --label-first N: how many photos to label")


def rank_photos(
    model: "Model", paths: Sequence[Path], out: Path, first: int | None, *, quiet: bool
) -> tuple[list[Path], list[str]]:
    """Writes `ranking.csv`, and copies the first photos into `photos/`.

    The names of the copies are those in the files for labelling tools.

    Args:
        model: on its device.
        paths: photos.
        out: the folder.
        first: number of photos to copy; None for none.
        quiet: print nothing.

    Returns:
        The first photos, and a message for each photo that cannot be read. Exits with code 2 if none can be read.
    """
    from clothseg.prediction.ranking import copy_photos, rank_for_labelling, write_ranking  # noqa: PLC0415 - PyTorch

    with progress_bar(quiet=quiet) as bar:
        ranked, unread = rank_for_labelling(model, paths, progress=partial(walk, bar))
    if not ranked:
        fail_for_unread(unread, done=False)
    write_ranking(ranked, out / "ranking.csv")
    if not quiet:
        top = f"{counted(len(ranked), 'photo')} ranked; the first: {ranked[0].path} ({ranked[0].why})"
        ERRORS.print(escape(f"{top}; see {out / 'ranking.csv'}"))
    chosen = [one.path for one in ranked[: first or 0]]
    if chosen:
        copy_photos(chosen, out / "photos")
    return chosen, unread
