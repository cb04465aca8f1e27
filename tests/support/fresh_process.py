"""Commands in processes of their own that start in a moment.

A Python process that has imported what commands need waits, and forks for each command. So interpreter and imports are
paid for once, and still no command sees what another one has imported or changed. Where the system cannot fork, each
command is a new process.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

LIGHT = "import clothseg.cli, clothseg.config, numpy, rich.console, typer.main"
"""What nearly every command imports. Nothing of it may be among the modules whose absence a test shows."""
HEAVY = f"""
{LIGHT}, clothseg.models, clothseg.training.fit, clothseg.prediction, clothseg.pictures.curves
from clothseg.deferred_dynamo import import_without_dynamo
import_without_dynamo("timm")
"""
COMMAND = "from clothseg.cli import main; main()"

RUN = """
import atexit, json, os, signal, sys
from pathlib import Path

def run(job):
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    added = job["environment"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [folder for folder in added if folder and folder not in sys.path]
    place = Path(job["place"])
    for number, name in enumerate((os.devnull, place / "stdout", place / "stderr")):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT), number)
    sys.argv = job["words"]
    atexit.register(lambda: (place / "modules").write_text(json.dumps(list(sys.modules))))
    exec(job["code"], {"__name__": "__main__"})
"""
ONE = RUN + "run(json.loads(sys.stdin.read()))"
MANY = (
    RUN
    + """
exec(sys.argv[1])

def serve():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait
    for line in sys.stdin:
        job = json.loads(line)
        if os.fork():
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        command = os.fork()
        if not command:
            return job
        os.write(1, b"%d\\n" % command)
        code = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
        Path(job["place"], "code.new").write_text(str(code))
        Path(job["place"], "code.new").rename(Path(job["place"], "code"))
        os._exit(0)
    os._exit(0)

run(serve())
"""
)


@dataclass(frozen=True)
class Process:
    """A command that was started, like `subprocess.Popen`. What it prints is in files in `place`."""

    pid: int
    place: Path
    opened: "subprocess.Popen[str] | None" = None

    def poll(self) -> int | None:
        """The exit code, -N after signal N, or None before the end."""
        if self.opened:
            return self.opened.poll()
        code = self.place / "code"
        return int(code.read_text()) if code.exists() else None

    def wait(self, seconds: float = 300) -> int:
        """The exit code, when the command has ended."""
        until = time.monotonic() + seconds
        while (code := self.poll()) is None:
            assert time.monotonic() < until, f"it did not end: {self.stderr}"
            time.sleep(0.002)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal to a command that has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends the command at once."""
        self.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows has no SIGKILL

    @property
    def stdout(self) -> str:
        """What it has printed."""
        return (self.place / "stdout").read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        """What it has printed as messages."""
        return (self.place / "stderr").read_text(encoding="utf-8")

    @property
    def modules(self) -> set[str]:
        """The names of the modules that it had imported at its end."""
        return set(json.loads((self.place / "modules").read_text(encoding="utf-8")))


class FreshProcesses:
    """Starts commands. `close` ends the process that waits.

    Args:
        folder: for what commands print.
        imports: code that is run before all commands: `LIGHT`, or `HEAVY` with PyTorch.
    """

    def __init__(self, folder: Path, imports: str) -> None:
        self._folder, self._imports, self._numbers = folder, imports, count()
        self._waiting: subprocess.Popen[str] | None = None

    def start(
        self,
        words: Sequence[object],
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        code: str = COMMAND,
    ) -> Process:
        """Starts `clothseg` with these words, or Python code with them as `sys.argv[1:]`, in a folder.

        `environment` is added to that of the tests, and to one thread for each process.
        """
        place = self._folder / str(next(self._numbers))
        place.mkdir()
        (place / "stderr").touch()
        known = {name: value for name, value in os.environ.items() if name not in ("LOCAL_RANK", "WORLD_SIZE")}
        job = {
            "words": ["clothseg", *map(str, words)],
            "code": code,
            "folder": str(folder or Path.cwd()),
            "environment": {**known, "OMP_NUM_THREADS": "1", **(environment or {})},
            "place": str(place),
        }
        if hasattr(os, "fork"):
            return Process(self._fork(json.dumps(job)), place)
        opened = subprocess.Popen([sys.executable, "-c", ONE], stdin=subprocess.PIPE, text=True)
        assert opened.stdin is not None
        opened.stdin.write(json.dumps(job))
        opened.stdin.close()
        return Process(opened.pid, place, opened)

    def run(
        self,
        words: Sequence[object],
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        code: str = COMMAND,
    ) -> Process:
        """Like `start`, and waits for the end."""
        process = self.start(words, folder, environment, code)
        process.wait()
        return process

    def _fork(self, job: str) -> int:
        if self._waiting is None:
            alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # a process with threads must not fork
            self._waiting = subprocess.Popen(
                [sys.executable, "-c", MANY, self._imports],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | alone,
            )  # fmt: skip
        assert self._waiting.stdin is not None and self._waiting.stdout is not None
        self._waiting.stdin.write(job + "\n")
        self._waiting.stdin.flush()
        return int(self._waiting.stdout.readline())

    def close(self) -> None:
        """Ends the process that waits."""
        if self._waiting is not None:
            self._waiting.communicate()
