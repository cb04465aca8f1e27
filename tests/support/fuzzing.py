"""Broken inputs for readers, made from good ones, and what a reader may do with them.

Every input has a number, its seed: `CLOTHSEG_FUZZ_FIRST=71 CLOTHSEG_FUZZ_INPUTS=1` repeats number 71 alone.
"""

import copy
import json
import os
import random
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from clothseg.errors import ClothsegError

INPUTS = int(os.environ.get("CLOTHSEG_FUZZ_INPUTS", "200"))
FIRST = int(os.environ.get("CLOTHSEG_FUZZ_FIRST", "0"))
LONGEST_MESSAGE = 1000
BLOCK = 2500
"""Inputs of one test: more are several tests, which `pytest -n` shares among the cores."""
SECONDS = 20
"""Processor time for one input. On Windows, which has no such alarm, nothing ends a reader that takes longer."""
WAITING_SECONDS = 200
"""For one input by the clock, so that a reader that waits for something ends too; a busy machine takes this long."""
MOST_BYTES = 2 << 30
"""By which the memory of the process may grow at most, over all inputs."""

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 7, 0.5, -0.0, 1e308, -1e308, 5e-324, float("nan"), float("inf"), -float("inf")),
    *(2**31, 2**63, 2**64, -(2**63) - 1, 10**400),
    *(
        "",
        " ",
        "1",
        "-1",
        "nan",
        "0x10",
        "x" * 5000,
        "\ud800",
        "a\x00b",
        "../../up",
        "/etc/passwd",
        "C:\\a",
        "\u202egpj",
    ),
    *("é", "日本", "1e400", "true", "null", "2020-01-01", "\x1b[2J", "'", '"', "%", "{}", "\r\n"),
    *([], {}, [[]], [None], {"": None}, [1, 2], [1.5, "a"], {"size": None}, [[0, 0, 0]], [float("nan")] * 4),
)


def spoil_tree(tree: Any, rng: random.Random) -> Any:
    """A copy of a tree of dicts and lists with one to three places that are wrong."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(tree))
        if not places:
            return rng.choice(ODD_VALUES)
        parent, key = rng.choice(places)
        _spoil_at(parent, key, rng)
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else []
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


def _spoil_at(parent: Any, key: Any, rng: random.Random) -> None:
    kind = rng.randrange(7)
    if kind <= 2:
        parent[key] = copy.deepcopy(rng.choice(ODD_VALUES))
    elif kind == 3:
        del parent[key]
    elif kind == 4 and isinstance(parent, list):
        parent.insert(rng.randint(0, len(parent)), copy.deepcopy(parent[key]))
    elif kind == 4:
        parent[rng.choice(["", "x", "id", "\ud800", "a" * 3000, "__class__"])] = copy.deepcopy(parent[key])
    elif kind == 5:
        value = parent[key]
        parent[key] = list(value.items()) if isinstance(value, dict) else str(value)
    else:
        value = parent[key]
        for _ in range(rng.choice([1, 3, 60])):
            value = [value] if rng.random() < 0.5 else {"a": value}
        parent[key] = value


def spoil_json(tree: Any, rng: random.Random) -> bytes:
    """The tree as a JSON file that is wrong in its values, or seldom in its text."""
    text = json.dumps(spoil_tree(tree, rng) if rng.random() < 0.9 else tree)
    kind = rng.randrange(20)
    if kind == 0:
        return text.encode(rng.choice(["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp500"]))
    if kind == 1:
        return spoil_bytes(text.encode(), rng)
    if kind == 2:
        depth = rng.choice([500, 1000, 1100, 50_000])
        deep = "[" * depth + "]" * depth if rng.random() < 0.5 else '{"a":' * depth + "1" + "}" * depth
        start = rng.choice([0, 0, text.find("[") + 1, text.find("{") + 1])
        return (deep if start == 0 else text[:start] + deep + "," + text[start:]).encode()
    if kind == 3:
        return text.replace("1", "1" * rng.choice([400, 5000]), 1).encode()
    return text.encode()


def spoil_bytes(data: bytes, rng: random.Random) -> bytes:
    """The data with one to four places that are wrong: bytes changed, cut, doubled, inserted or moved."""
    content = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(content) + 1)
        stop = min(len(content), start + rng.choice([1, 1, 2, 4, 16, 200]))
        kind = rng.randrange(6)
        if kind == 0:
            del content[start:]
        elif kind == 1:
            content[start:stop] = rng.randbytes(stop - start)
        elif kind == 2:
            content[start:stop] = bytes([rng.choice([0, 0, 0x7F, 0x80, 0xFF])]) * (stop - start)
        elif kind == 3:
            content[start:start] = content[start:stop]
        elif kind == 4:
            del content[start:stop]
        elif start < len(content):
            content[start] ^= 1 << rng.randrange(8)
    return bytes(content)


def bomb(levels: int) -> str:
    """YAML of a few lines that stands for 9 to the power of `levels` values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


class SideEffectError(AssertionError):
    """A reader did what no reader may do."""


class _Guard:
    """Watches what the process does while a reader runs, by audit events of Python."""

    STARTS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn"})

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.thread = 0
        self.processes = False
        self.broken: str | None = None

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None or threading.get_ident() != self.thread:
            return
        if event in self.STARTS and not self.processes:
            self.broken = f"{event} {arguments!r:.200}"
        elif event == "open" and isinstance(arguments[0], str | bytes) and _writes(arguments):
            place = Path(os.fsdecode(arguments[0])).absolute()
            if not self._allows(place) and place != Path(os.devnull):
                self.broken = f"writes {place}"
        elif event in {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "shutil.rmtree"}:
            place = Path(os.fsdecode(arguments[0])).absolute()
            beside = (
                event != "shutil.rmtree" and arguments[-1] != -1
            )  # in an open folder, whose removal was seen before
            if not beside and not self._allows(place):
                self.broken = f"{event} {place}"

    def _allows(self, place: Path) -> bool:
        """Whether a reader may write there: in its folder, or in a temporary one if it reads in another process."""
        ours = place.is_relative_to(tempfile.gettempdir()) and "/clothseg-" in place.as_posix()
        return self.folder is None or place.is_relative_to(self.folder) or (self.processes and ours)


def _writes(arguments: tuple[Any, ...]) -> bool:
    mode, flags = arguments[1], arguments[2]
    if isinstance(mode, str):
        return bool(set(mode) & set("wax+"))
    return bool(flags & (os.O_WRONLY | os.O_RDWR))


_GUARD = _Guard()
sys.addaudithook(_GUARD)


@contextmanager
def _alarm() -> Iterator[None]:
    if sys.platform == "win32":
        yield
        return

    def ring(_: int, frame: FrameType | None) -> None:
        raise SideEffectError(f"takes over {SECONDS} s, or waits over {WAITING_SECONDS} s, and is in {frame}")

    limits = ((signal.ITIMER_PROF, signal.SIGPROF, SECONDS), (signal.ITIMER_REAL, signal.SIGALRM, WAITING_SECONDS))
    before = [signal.signal(number, ring) for _, number, _ in limits]
    for timer, _, seconds in limits:
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for (timer, number, _), handler in zip(limits, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def _memory() -> int:
    """The peak memory of this process in bytes; 0 on Windows."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def blocks() -> list[range]:
    """The numbers of the inputs, in blocks of at most `BLOCK`."""
    end = FIRST + INPUTS
    return [range(start, min(start + BLOCK, end)) for start in range(FIRST, end, BLOCK)]


class Fuzz:
    """Runs a reader on broken inputs in a folder of its own.

    Attributes:
        accepted: inputs that were read.
        refused: inputs that were refused with an error of ours.
        seeds: the numbers of the inputs.
    """

    def __init__(self, folder: Path, seeds: range | None = None) -> None:
        self.folder = folder
        self.seeds = range(FIRST, FIRST + INPUTS) if seeds is None else seeds
        self.accepted = self.refused = 0

    def __call__(
        self,
        make: Callable[[random.Random], bytes | object],
        read: Callable[[Any], object],
        *,
        name: str | None = None,
        one_of: int = 1,
        processes: bool = False,
        all_good: bool = False,
    ) -> None:
        """Gives `read` what `make` made of each seed.

        A reader succeeds or raises a `ClothsegError` of less than `LONGEST_MESSAGE` characters. It takes at most
        `SECONDS` and little memory, writes nothing outside its folder, and starts no process.

        Args:
            make: the content of a file, or any value.
            read: gets the path of the file if `name` is given, else the value.
            name: of the file.
            one_of: of so many seeds one is used, for a reader that takes long.
            processes: whether the reader may start a process, because it reads in one with limits.
            all_good: whether every input is readable, so that none may be refused.
        """
        memory = _memory() if sys.platform != "win32" else 0
        for seed in self.seeds[::one_of]:
            value = make(random.Random(seed))
            if name is not None:
                path = self.folder / name
                path.write_bytes(value)  # type: ignore[arg-type]
                value = path
            try:
                self._run(read, value, processes=processes)
            except Exception as error:
                error.add_note(f"input {seed}: {_short(value)}")
                raise
        assert sys.platform == "win32" or _memory() - memory < MOST_BYTES
        assert bool(self.refused) != all_good, f"{self.refused} of {self.accepted + self.refused} inputs were refused"

    def _run(self, read: Callable[[Any], object], value: Any, *, processes: bool) -> None:
        _GUARD.folder, _GUARD.thread = self.folder.absolute(), threading.get_ident()
        _GUARD.processes, _GUARD.broken = processes, None
        try:
            with _alarm():
                read(value)
            self.accepted += 1
        except ClothsegError as error:
            self.refused += 1
            if len(str(error)) >= LONGEST_MESSAGE:
                raise SideEffectError(f"a message of {len(str(error))} characters: {str(error)[:300]}") from error
            str(error).encode()  # a terminal has to show it
        finally:
            _GUARD.folder = None
        if _GUARD.broken:
            raise SideEffectError(_GUARD.broken)


def _short(value: Any) -> str:
    if isinstance(value, Path):
        return f"{value.name} {value.read_bytes()[:2000]!r}" if value.is_file() else str(value)
    return repr(value)[:2000]
