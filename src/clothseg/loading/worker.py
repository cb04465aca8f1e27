"""One process that loads examples, and the other end of its pipes.

The process is a fresh interpreter: it shares no lock with the training, it never runs the user's script again, and it
works alike on every system. It ends when its input ends, so it cannot outlive the training, however that ends. Photos
and masks travel as raw bytes, read straight into the memory that they stay in. Annotations stay in the training's
process: a worker asks for those of a photo when it needs them.
"""

import os
import pickle
import subprocess
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, cast

import cv2
import torch
from torch import Tensor

from clothseg.dataset.coco import ImageEntry
from clothseg.dataset.examples import Example, ExampleSource
from clothseg.devices import CAPTURE_LOCK
from clothseg.errors import ClothsegError, RunError
from clothseg.instances import Instances, PixelMasks, SomeMasks

if sys.platform == "linux":
    import fcntl


@dataclass(frozen=True)
class EntryRequest:
    """A worker asks for a photo's entry: the number of the source, and the position."""

    source: int
    position: int


@dataclass(frozen=True)
class ExampleHeader:
    """What precedes the bytes of a photo `[H, W, 3]` and of the masks `[M, h, w]` of those objects that have one."""

    photo: tuple[int, int, int]
    masks: tuple[int, int, int]
    boxes: Any
    classes: Any
    crowd: Any
    has_mask: Any


class WorkerProcess:
    """A process that loads examples of `sources`, one at a time.

    Args:
        sources: what it loads from.
        pinned: read photos and masks into pinned memory, from which a GPU copies them without a stall.
    """

    def __init__(self, sources: Sequence[ExampleSource], *, pinned: bool) -> None:
        self.sources, self.pinned = sources, pinned
        files = [fd for source in sources for fd in source.dataset.shared_files]
        code = f"import sys; sys.path[:] = {sys.path!r}; from clothseg.loading.worker import serve; serve()"
        away: dict[str, Any] = (  # Ctrl-C in the terminal is for the training alone
            {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
            if sys.platform == "win32"
            else {"start_new_session": True, "pass_fds": files}
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, **away
        )
        self.sends, self.receives = cast(BinaryIO, self.process.stdin), cast(BinaryIO, self.process.stdout)
        _enlarge(self.receives)
        here = [replace(source, dataset=source.dataset.without_images()) for source in sources]
        self._send([(source, len(other.dataset)) for source, other in zip(here, sources, strict=True)])

    def load(self, source: int, position: int, version: int) -> Example:
        """The example at `position` and `version` of a source.

        Raises:
            PhotoError, DataError: it cannot be read.
            RunError: the process is gone.
        """
        self._send((source, position, version))
        while True:
            answer = self._receive()
            if isinstance(answer, EntryRequest):
                self._send(self.sources[answer.source].dataset.images[answer.position])
            elif isinstance(answer, ExampleHeader):
                return self._example(answer)
            else:
                raise answer

    def end(self) -> None:
        """Ends the process; what it loads is lost, and a thread that waits for it gets a `RunError`."""
        self.process.kill()
        self.process.wait()

    def _example(self, header: ExampleHeader) -> Example:
        photo, masks = self._bytes(header.photo), self._bytes(header.masks)
        pixels, has_mask = PixelMasks(masks.view(torch.bool)), torch.from_numpy(header.has_mask)
        truth = Instances(
            header.masks[1:],
            torch.from_numpy(header.boxes),
            torch.from_numpy(header.classes),
            pixels if has_mask.all() else SomeMasks.of(pixels, has_mask),
            crowd=torch.from_numpy(header.crowd),
            has_mask=has_mask,
        )
        return photo.permute(2, 0, 1), truth

    def _bytes(self, shape: tuple[int, ...]) -> Tensor:
        with CAPTURE_LOCK:
            tensor = torch.empty(shape, dtype=torch.uint8, pin_memory=self.pinned)
        left = tensor.numpy().reshape(-1).data
        while left:
            count = self._guarded(lambda part: cast(Any, self.receives).readinto(part), left)
            if not count:
                raise self._gone()
            left = left[count:]
        return tensor

    def _send(self, message: Any) -> None:
        def send(data: bytes) -> None:
            self.sends.write(data)
            self.sends.flush()

        self._guarded(send, pickle.dumps(message))

    def _receive(self) -> Any:
        return self._guarded(pickle.load, self.receives)

    def _guarded(self, work: Any, argument: Any) -> Any:
        try:
            return work(argument)
        except (OSError, EOFError, pickle.UnpicklingError, ValueError) as error:  # ValueError: a closed pipe
            raise self._gone() from error

    def _gone(self) -> RunError:
        try:
            code: int | None = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = None
        how = f"killed by signal {-code}" if code and code < 0 else f"exit code {code}"
        return RunError(
            f"a process that loads photos is gone ({how}); if memory ran out, use fewer with train.workers, or threads "
            "with train.worker_type=thread"
        )


class RemoteEntries:
    """The entries of a dataset that the training's process has; they are asked for one by one."""

    def __init__(self, source: int, count: int, receives: BinaryIO, sends: BinaryIO) -> None:
        self.source, self.count, self.receives, self.sends = source, count, receives, sends

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, position: int) -> ImageEntry:
        if not 0 <= position < self.count:
            raise IndexError(position)
        pickle.dump(EntryRequest(self.source, position), self.sends)
        self.sends.flush()
        entry: ImageEntry = pickle.load(self.receives)
        return entry


def serve() -> None:
    """The work of a process: loads what its standard input asks for, until that ends."""
    receives = sys.stdin.buffer
    sends = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print must not get between the answers
    _enlarge(sends)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        sources: list[ExampleSource] = []
        for number, (source, count) in enumerate(pickle.load(receives)):
            source.dataset.images = cast(Any, RemoteEntries(number, count, receives, sends))
            sources.append(source)
        while True:
            number, position, version = pickle.load(receives)
            _answer(sends, sources[number], position, version)
    except (EOFError, BrokenPipeError):  # the training has ended
        os._exit(0)


def _answer(sends: BinaryIO, source: ExampleSource, position: int, version: int) -> None:
    try:
        image, truth = source.load(position, version)
    except (EOFError, BrokenPipeError):
        raise
    except Exception as error:
        pickle.dump(_portable(error), sends)
    else:
        photo = image.permute(1, 2, 0).contiguous().numpy()
        known = truth.masks.select(torch.where(truth.has_mask)[0]) if not truth.has_mask.all() else truth.masks
        masks = known.pixels().contiguous().view(torch.uint8).numpy()
        fields = (tensor.numpy() for tensor in (truth.boxes, truth.classes, truth.crowd, truth.has_mask))
        pickle.dump(ExampleHeader(photo.shape, masks.shape, *fields), sends)
        for part in (photo, masks):
            sends.write(part.reshape(-1).data)
    sends.flush()


def _portable(error: Exception) -> Exception:
    """The error, with its traceback as a note if it is unexpected; another one if it cannot be pickled."""
    if not isinstance(error, ClothsegError):
        error.add_note(f"In a process that loads photos:\n{traceback.format_exc()}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError("".join(traceback.format_exception(error)))
    return error


def _enlarge(pipe: BinaryIO) -> None:
    """Makes the pipe hold a megabyte where that is possible (Linux), so that a photo takes few reads."""
    if sys.platform == "linux":
        with suppress(OSError):  # the user's pipes take all that the system allows; it works with less
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)
