"""`clothseg config`: what a configuration says, every value."""

from typing import Annotated

import typer

from clothseg.config import Config, preset_names

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def _group() -> None:
    """Look at configurations."""


@app.command()
def show(
    source: Annotated[str | None, typer.Argument(help="A YAML file or the name of a preset.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", help="section.key=value, repeated.")] = None,
) -> None:
    """Print every value of a configuration, defaults too; without a name, the presets.

    Example: [b]clothseg config show demo --set train.epochs=20[/]
    """
    if source is None:
        print("\n".join(preset_names()))
        return
    Config.load(source, overrides or []).display()
