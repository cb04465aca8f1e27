"""Options of commands that can do a catalogue in shards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from clothseg.catalogue.names import LIST_SUFFIXES, is_url, suffix_of
from clothseg.catalogue.tables import TableFormat
from clothseg.errors import ClothsegError
from clothseg.prediction import OutputFormat


class PredictFormat(StrEnum):
    """Formats of `predict`: those of photos and videos, and those of tables in shards."""

    _ignore_ = "members form"  # names of the loop below, which are no members
    members = vars()
    for form in (*OutputFormat, *TableFormat):
        members[form.name] = form.value


class EngineName(StrEnum):
    """Where shards are done."""

    LOCAL = "local"
    RAY = "ray"


ShardSize = Annotated[int | None, typer.Option(min=1, metavar="N", help="Number of photos in a shard. Default: 1000.")]
ShardOption = Annotated[
    str | None,
    typer.Option("--shard", metavar="JOB/JOBS", help="The shards of one job: 3/40 is the third of 40 jobs."),
]
PhotoColumn = Annotated[
    str | None, typer.Option(help="The column of CSV and Parquet lists that has the photos. Default: found by itself.")
]
RetryErrors = Annotated[
    bool, typer.Option("--retry-errors", help="Repeat the shards in which a photo could not be read.")
]
EngineOption = Annotated[EngineName, typer.Option(help="Process the shards on this machine, or with Ray on a cluster.")]
RayAddress = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Address of a Ray cluster. Default: start Ray on this machine.")
]


@dataclass(frozen=True)
class ShardOptions:
    """The options above, as they were given; `form` is a table format or None."""

    form: str | None
    shard_size: int | None
    shard: str | None
    photo_column: str | None
    retry_errors: bool
    engine: EngineName
    ray_address: str | None

    def check(self, photos: Sequence[str], out: str, *, devices: int = 1) -> None:
        """Refuses options and inputs that work only in shards, if there is no table format.

        Args:
            photos, out: the arguments of the command.
            devices: the option, if the command has it for catalogues only.

        Raises:
            ClothsegError: see above.
        """
        given = {
            "--shard-size": self.shard_size is not None,
            "--shard": self.shard is not None,
            "--photo-column": self.photo_column is not None,
            "--retry-errors": self.retry_errors,
            "--engine ray": self.engine is EngineName.RAY,
            "--ray-address": self.ray_address is not None,
            "--devices": devices > 1,
        }
        if self.form is not None:
            if self.ray_address is not None and self.engine is not EngineName.RAY:
                raise ClothsegError("--ray-address: only with --engine ray")
            return
        how = "add --format parquet (or jsonl), which writes tables in shards"
        if names := [name for name, is_given in given.items() if is_given]:
            raise ClothsegError(f"{', '.join(names)}: only for catalogues; {how}")
        for name in (*photos, out):
            if is_url(name):
                raise ClothsegError(f"{name}: a web address; {how}, or download the photos first")
        for name in photos:
            if suffix_of(name) in LIST_SUFFIXES and Path(name).is_file():
                raise ClothsegError(f"{name}: a list of photos; {how}")


def table_format(formats: Sequence[str]) -> str | None:
    """The table format among the values of `--format`; None if there is none.

    Raises:
        ClothsegError: there is another format beside it.
    """
    tables = [str(name) for name in formats if name in frozenset(TableFormat)]
    if tables and len(set(formats)) > 1:
        raise ClothsegError(f"--format {tables[0]} cannot be combined with other formats; give only one")
    return tables[0] if tables else None


def refuse_in_shards(given: Mapping[str, object]) -> None:
    """Refuses options that do not work with catalogues.

    Args:
        given: options, and something true for each that is given.

    Raises:
        ClothsegError: one is given.
    """
    if names := [name for name, value in given.items() if value]:
        raise ClothsegError(f"{', '.join(names)}: not for catalogues (--format parquet or jsonl)")
