"""TorchDynamo stays away while a library is imported, and is there, whole, for everything that wants it."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from fresh_process import FreshProcesses

LIBRARY = """
    from torch._dynamo.utils import is_compile_supported  # as torchvision.ops.roi_align
    from torch.compiler import disable  # as timm.models.naflexvit

    @disable
    def shift(x, by):
        '''Its text.'''
        return x + by

    def supported():
        return is_compile_supported("cpu")
"""


@pytest.fixture(scope="module")
def with_torch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreshProcesses]:
    """Processes that have imported torch, and nothing of its compiler."""
    processes = FreshProcesses(tmp_path_factory.mktemp("torch"), "import torch")
    yield processes
    processes.close()


def answer(folder: Path, code: str, library: str = LIBRARY, process: FreshProcesses | None = None) -> str:
    """What a process prints that can import `library` as `wants_dynamo`; a new one, if none is given."""
    (folder / "wants_dynamo.py").write_text(textwrap.dedent(library))
    code = "import sys\nfrom clothseg.deferred_dynamo import import_without_dynamo\n" + textwrap.dedent(code)
    if process is None:
        done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()
    ended = process.run([], folder, code=code)
    assert ended.wait() == 0, ended.stderr
    return ended.stdout.strip()


def test_a_library_is_imported_without_it_and_its_functions_work(tmp_path: Path) -> None:
    code = """
        library = import_without_dynamo("wants_dynamo")
        print("torch._dynamo" in sys.modules, library.shift.__doc__, end=" ")
        print(library.shift(2, by=3), library.supported())
        import torch._dynamo.utils
        print(torch._dynamo.utils.is_compile_supported("cpu"), hasattr(torch._dynamo, "optimize"))
    """
    assert answer(tmp_path, code).split() == ["False", "Its", "text.", "5", "True", "True", "True"]


def test_a_disabled_function_is_not_compiled(tmp_path: Path, with_torch: FreshProcesses) -> None:
    code = """
        import torch
        library = import_without_dynamo("wants_dynamo")
        graphs = []
        def backend(graph, inputs):
            graphs.append(graph.code)
            return graph
        @torch.compile(backend=backend)
        def both(x):
            return library.shift(x * 2, 1) * 5
        print(both(torch.tensor([3.0])).item(), any("+" in graph for graph in graphs))
    """
    assert answer(tmp_path, code, process=with_torch) == "35.0 False"


def test_other_uses_load_it_at_once(tmp_path: Path, with_torch: FreshProcesses) -> None:
    uses = ("import torch._dynamo.config as found", "from torch._dynamo import reset as found")
    for use in (*uses, "from torch._dynamo.utils import counters as found"):
        code = """
            library = import_without_dynamo("wants_dynamo")
            module = sys.modules["torch._dynamo"]
            print(library.found is not None, module.__spec__ is not None)
        """
        assert answer(tmp_path, code, f"import torch\n{use}\n", with_torch) == "True True", use


def test_a_failed_import_leaves_nothing_behind(tmp_path: Path, with_torch: FreshProcesses) -> None:
    code = """
        try:
            import_without_dynamo("wants_dynamo")
        except ValueError:
            print([name for name in sys.modules if name.startswith("torch._dynamo")])
    """
    assert answer(tmp_path, code, "raise ValueError\n", with_torch) == "[]"
