"""`clothseg config`: shows the settings of a configuration."""

from typing import Annotated

import typer

from clothseg.cli.completion import presets
from clothseg.cli.inputs import Overrides
from clothseg.config import Config, preset_meanings

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def _group() -> None:
    """Show configurations."""


@app.command()
def show(
    source: Annotated[
        str | None, typer.Argument(autocompletion=presets, help="A YAML file or the name of a preset.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Print every setting with its value and meaning, as YAML; without a name, list the presets with their purpose.

    The output is a configuration file: save it, change it, and give it to `clothseg fit --config`.

    Example: [b]clothseg config show demo --set train.epochs=20[/]
    """
    if source is None:
        meanings = preset_meanings()
        width = max(map(len, meanings))
        print("\n".join(f"{name:{width}}  {meaning}" for name, meaning in meanings.items()))
        return
    print(Config.load(source, overrides or []).explained(), end="")
