"""Names of devices, the precision on each, and the switches of a GPU's products."""

import subprocess
import sys
from typing import Any

import pytest
import torch

from clothseg.config import Config
from clothseg.devices import (
    check_device_name,
    describe_precision,
    float32_products,
    has_tf32,
    resolve_device,
    resolve_precision,
    to_float64,
)
from clothseg.distributed import launch
from clothseg.errors import ConfigError
from clothseg.models import Model

CPU, GPU, MPS = (torch.device(name) for name in ("cpu", "cuda", "mps"))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pretends that this machine has GPUs, with a compute capability, or MPS."""

    def make(gpus: int = 0, *, mps: bool = False, capability: tuple[int, int] = (9, 0)) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return make


@pytest.mark.parametrize(
    ("gpus", "mps", "expected"), [(2, True, GPU), (1, False, GPU), (0, True, MPS), (0, False, CPU)]
)
def test_auto_takes_cuda_then_mps_then_the_cpu(gpus: int, mps: bool, expected: torch.device, machine: Any) -> None:
    machine(gpus, mps=mps)
    assert resolve_device() == resolve_device("auto") == expected


def test_devices_by_name(machine: Any) -> None:
    machine(2, mps=True)
    assert [resolve_device(name) for name in ("cpu", "cuda", "cuda:1", "mps")] == [
        CPU,
        GPU,
        torch.device("cuda", 1),
        MPS,
    ]
    assert resolve_device(torch.device("cuda", 1)) == torch.device("cuda", 1)


@pytest.mark.parametrize(
    ("name", "gpus", "message"),
    [
        ("cuda", 0, "device cuda: .*use auto or cpu"),
        ("cuda:1", 1, "device cuda:1: this machine has one GPU, cuda:0"),
        ("cuda:7", 2, "device cuda:7: this machine has the GPUs cuda:0 to cuda:1"),
        ("mps", 0, "device mps: it needs a Mac"),
        ("gpu", 1, "device 'gpu': write auto, cpu, cuda"),
        ("cuda:", 1, "device 'cuda:'"),
        ("cpu:0", 1, "device 'cpu:0'"),
    ],
)
def test_devices_that_are_not_there(name: str, gpus: int, message: str, machine: Any) -> None:
    machine(gpus)
    with pytest.raises(ConfigError, match=message) as error:
        resolve_device(name)
    assert "\n" not in str(error.value)
    with pytest.raises(ConfigError):
        Model().build(["a"]).to(name)


def test_names_are_checked_without_torch() -> None:
    code = "import sys; from clothseg.devices import check_device_name as c; c('cuda:1'); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
    assert check_device_name("cuda:12") == "cuda:12"


@pytest.mark.parametrize(
    ("device", "capability", "expected"),
    [(CPU, (9, 0), "32-true"), (MPS, (9, 0), "32-true"), (GPU, (8, 0), "bf16-mixed"), (GPU, (7, 5), "32-true")],
)
def test_automatic_precision(device: torch.device, capability: tuple[int, int], expected: str, machine: Any) -> None:
    machine(1, mps=True, capability=capability)
    assert resolve_precision("auto", device) == expected
    assert resolve_precision(Config().train.precision, device) == expected
    assert resolve_precision("32-true", device) == "32-true"
    assert ("TF32" in describe_precision(resolve_precision("auto", device), device)) == (expected == "bf16-mixed")


def test_precisions_that_a_device_does_not_have(machine: Any) -> None:
    machine(1, mps=True)
    for setting, device in (("bf16-mixed", MPS), ("16-mixed", MPS), ("16-mixed", CPU)):
        with pytest.raises(ConfigError, match=f"{setting}.*use auto"):
            resolve_precision(setting, device)
    with pytest.raises(ConfigError, match="16-mixed needs a GPU"):
        launch(1, "16-mixed", device=CPU)


def switches() -> tuple[object, ...]:
    """The old switches of TF32 and the new ones; PyTorch raises an error where they contradict each other."""
    new = torch.backends.cuda.matmul.fp32_precision, getattr(torch.backends.cudnn, "conv").fp32_precision  # noqa: B009
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, *new


@pytest.mark.parametrize("tf32", [True, False])
def test_products_of_a_gpu_are_switched_and_switched_back(tf32: bool, machine: Any) -> None:
    machine(1)
    before = switches()
    with float32_products(GPU, tf32=tf32):
        inside = switches()
        assert inside[:2] == ("high" if tf32 else "highest", tf32)
        assert (inside[2] == "tf32", inside[3] == "tf32") == (tf32, tf32)
    assert switches() == before
    with pytest.raises(ZeroDivisionError), float32_products(GPU, tf32=tf32):
        raise ZeroDivisionError
    assert switches() == before


def test_products_of_a_cpu_are_left_alone() -> None:
    before = switches()
    with float32_products(CPU, tf32=True):
        assert switches() == before


def test_switches_of_the_user_come_back(machine: Any) -> None:
    """Of someone who uses the new names of PyTorch, which make reading the old ones an error."""
    machine(1)
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        with float32_products(GPU, tf32=False):
            assert torch.backends.cuda.matmul.fp32_precision == "ieee"
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.backends.cuda.matmul.fp32_precision = before


def test_double_precision_is_computed_on_the_cpu_where_it_is_missing(pretend: torch.device) -> None:
    import pretend_device

    here = torch.rand(3, device=pretend)
    assert to_float64(here).device == pretend
    with pretend_device.without_float64():
        exact = to_float64(here)
    assert (exact.device, exact.dtype) == (CPU, torch.float64)
    assert exact.tolist() == here.tolist()


def test_a_cpu_has_no_tf32() -> None:
    assert not has_tf32(CPU)
