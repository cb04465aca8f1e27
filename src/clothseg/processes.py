"""Several processes of one command, on one machine or on several: how many there are, and how they begin."""

import logging
import os
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.strategy import Strategy

from clothseg.errors import ConfigError

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


def processes_wanted(devices: int | None, by_default: int) -> int:
    """How many processes there will be: those that `torchrun` began, or `devices`, or else `by_default`.

    Raises:
        ConfigError: fewer devices are here, or `torchrun` began another number of processes.
    """
    begun = os.environ.get("WORLD_SIZE") if "LOCAL_RANK" in os.environ else None
    if begun is not None:
        if devices not in (None, int(begun)):
            raise ConfigError(f"--devices {devices}, but {begun} processes were started; leave --devices away")
        return int(begun)
    wanted = devices or by_default
    gpus, cores = torch.cuda.device_count(), len(os.sched_getaffinity(0))
    if wanted > 1 and wanted > (gpus or cores):
        have = (
            f"{gpus} GPU{'s' if gpus > 1 else ''}" if gpus else f"no GPU and {cores} cores, at most a process for each"
        )
        raise ConfigError(f"--devices {wanted}, but this machine has {have}; choose fewer")
    return wanted


def processes_here(processes: int) -> int:
    """How many of all processes are on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", processes))


def launch(processes: int, strategy: Strategy | str, precision: Precision = "32-true") -> Fabric:
    """Begin the other processes, if `torchrun` has not; each of them runs the same command from its start to here."""
    if processes == 1:
        return Fabric(accelerator="auto", devices=1, precision=precision)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells of each process
    here = processes_here(processes)
    fabric = Fabric(
        accelerator="auto", devices=here, num_nodes=processes // here, strategy=strategy, precision=precision
    )
    fabric.launch()
    return fabric
