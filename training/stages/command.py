"""`earshot train STAGE`: one command per stage of the curriculum, each resumes from its checkpoint."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from earshot.runtime.errors import EarshotError
from earshot.runtime.interfaces.cli import main
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
    """Make checkpoints of a bundle, for training to go on from: `encoders`, `names` and `sft` of the run directory."""
    from earshot.runtime.bundle.builtin import builtin_bundle_dir
    from earshot.training.stages.restore import restore as write

    try:
        write(bundle or builtin_bundle_dir(), run)
    except EarshotError as error:
        fail(error)
    typer.echo(json.dumps({"stage": "restore", "run": str(run)}))


@app.command()
def average(
    checkpoints: Annotated[list[Path], typer.Argument(help="Folders of one stage, e.g. FIRST/sft SECOND/sft.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write, e.g. RUN/sft.")],
    share: Annotated[list[float] | None, typer.Option(help="Of each, in their order.", show_default="equal")] = None,
) -> None:
    """Average checkpoints weight by weight: of several seeds, or of a start and what was trained on from it."""
    from earshot.training.stages.average import average as write

    try:
        write(out, checkpoints, share or ())
    except EarshotError as error:
        fail(error)
    typer.echo(json.dumps({"stage": "average", "out": str(out)}))


if __name__ == "__main__":  # a process of `accelerate launch`: it fails as `earshot train` does
    main(["train", *sys.argv[1:]])
