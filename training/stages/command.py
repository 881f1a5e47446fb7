"""`earshot train STAGE`: one command per stage of the curriculum, each resumes from its checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from earshot.runtime.errors import EarshotError
from earshot.training.stages import hearing_commands, language_commands
from earshot.training.stages.options import RunDir, fail

app = typer.Typer(
    no_args_is_help=True,
    help="Train one stage of the curriculum: encoders, names, bank, language, alignment, sft or pretrained, grpo; cascade and seldnet: baselines.",
)

for command in (
    hearing_commands.encoders,
    hearing_commands.teacher,
    hearing_commands.names,
    hearing_commands.bank,
    language_commands.questions,
    language_commands.language,
    language_commands.alignment,
    language_commands.sft,
    language_commands.cascade,
    hearing_commands.seldnet,
    language_commands.pretrained,
    language_commands.grpo,
):
    app.command()(command)


@app.command()
def restore(
    run: RunDir,
    bundle: Annotated[Path | None, typer.Option(help="Bundle to read.", show_default="the built-in one")] = None,
) -> None:
    """Make checkpoints of a bundle, for training to go on from: `encoders` and `sft` of the run directory."""
    from earshot.runtime.bundle.builtin import builtin_bundle_dir
    from earshot.training.stages.restore import restore as write

    try:
        write(bundle or builtin_bundle_dir(), run)
    except EarshotError as error:
        fail(error)
    typer.echo(json.dumps({"stage": "restore", "run": str(run)}))


if __name__ == "__main__":
    app()
