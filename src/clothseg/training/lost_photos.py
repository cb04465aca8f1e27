"""Training photos that vanish or break while a training runs: it goes on with other photos in their places."""

from collections.abc import Mapping
from typing import Any

from clothseg.dataset import CocoLikeDataset
from clothseg.dataset.examples import substitutes
from clothseg.distributed import DistributedContext
from clothseg.errors import DataError, PhotoError
from clothseg.training.run_log import RunLog


def most_lost(photos: int) -> int:
    """How many of some photos may be lost: a tenth, and always one. With more, a training stops."""
    return max(1, photos // 10)


class LostPhotos:
    """The photos of a dataset that could not be read, which are not tried again.

    Which photo takes the place of another depends on its position, the version and the seed alone: not on when the
    others were lost. So the examples of a training are the same with any number of workers, and after resuming.

    Attributes:
        reasons: for each lost photo, by its position in the dataset, a message that names it.

    Args:
        dataset: of the training.
        seed: of the training.
    """

    def __init__(self, dataset: CocoLikeDataset, seed: int) -> None:
        self.dataset, self.seed = dataset, seed
        self.reasons: dict[int, str] = {}
        self._logged: set[int] = set()

    def in_place_of(self, position: int, version: int) -> int:
        """The position of the photo to load for `position`: the same one if it is not lost."""
        if position not in self.reasons:
            return position
        others = substitutes(position, self.dataset.labelled, self.seed, version)
        return next(other for other in others if other not in self.reasons)

    def add(self, position: int, error: PhotoError | DataError) -> None:
        """Takes note of a photo that could not be read.

        Raises:
            PhotoError: too many are lost.
        """
        self.reasons[position] = str(error)
        self._require_few()

    def merge(self, distributed: DistributedContext, log: RunLog) -> None:
        """Takes note of the photos that other ranks have lost, and reports them.

        Raises:
            PhotoError: too many are lost.
        """
        self.reasons |= dict(distributed.gather(list(self.reasons.items())))
        self.report(log)
        self._require_few()

    def report(self, log: RunLog) -> None:
        """Logs a line for each photo that was lost since the last call."""
        for position in [position for position in self.reasons if position not in self._logged]:
            log.info(f"left out from now on, with other photos in its place: {self.reasons[position]}")
            self._logged.add(position)

    def state_dict(self) -> dict[str, Any]:
        """The lost photos, for a checkpoint."""
        return {str(position): reason for position, reason in self.reasons.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues with the lost photos of a checkpoint.

        Raises:
            ValueError: they are not photos of this dataset.
        """
        reasons = {int(position): str(reason) for position, reason in state.items()}
        if not all(0 <= position < len(self.dataset) for position in reasons):
            raise ValueError("lost photos that the dataset does not have")
        self.reasons, self._logged = reasons, set(reasons)

    def _require_few(self) -> None:
        lost, photos, labelled = len(self.reasons), len(self.dataset), self.dataset.labelled
        nothing_left = sum(position < labelled for position in self.reasons) == labelled
        if lost > most_lost(photos) or nothing_left:
            raise PhotoError(
                f"{lost} of {photos} training photos cannot be read any more, so probably their folder is out of "
                f"reach; the last: {self.reasons[next(reversed(self.reasons))]}"
            )
