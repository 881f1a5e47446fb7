"""The `earshot` command: finds what was asked for and turns every way to fail into a line and an exit code.

Exit codes: 0 fine, 1 a bug, 2 wrong use, 3 bad input, 4 bundle rejected, 5 device problem, 130 interrupted.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from earshot.runtime.errors import EarshotError
from earshot.runtime.interfaces.line_output import (
    let_go_of_stdout,
    never_refuse_characters,
    never_without_output,
    printable,
)
from earshot.runtime.interfaces.registry import COMMANDS, load_command, missing_package
from earshot.runtime.interfaces.termination import Termination

DEBUG_OPTION = "--debug"
INTERRUPTED = 130
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_WRONG_PLACE = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.ENAMETOOLONG,
)  # fmt: skip


class _PipeClosed(Exception):
    """Whoever read our output has left; not an OSError, so that nobody on the way swallows it."""


class _Interrupted(Exception):
    """Ctrl-C, in a form that click leaves alone."""


class LazyGroup(TyperGroup):
    """Commands by name from the registry; listing them loads none of them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A stand-in that has a name and a summary; the real one comes from `resolve_command`."""
        info = COMMANDS.get(cmd_name)
        if info is None:
            return None
        panel = "Commands" if info.is_runtime else "Making models"
        return TyperCommand(name=info.name, help=info.summary, rich_help_panel=panel)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the command that is about to run."""
        command = load_command(args[0])
        if command is None:
            self.commands = {known: self.get_command(ctx, known) for known in COMMANDS}  # for "did you mean"
            return super().resolve_command(ctx, args)
        return args[0], command, args[1:]

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what must not reach click's own handling is renamed."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _PipeClosed from error
        except KeyboardInterrupt as error:
            raise _Interrupted from error
        except ModuleNotFoundError as error:
            raise missing_package(ctx.invoked_subcommand or "earshot", error) or error from error


app = typer.Typer(
    cls=LazyGroup,
    name="earshot",
    help="A binaural listener you can ask: what, where, how far, since when. Offline, on the CPU.",
    epilog="Run 'earshot COMMAND --help' for a command; --debug anywhere shows where an error comes from.",
    add_completion=False,
    no_args_is_help=True,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"earshot {version()}")
        raise typer.Exit()


def version() -> str:
    """Version of the installed distribution."""
    try:
        return metadata.version("earshot")
    except metadata.PackageNotFoundError:
        return "unknown"


@app.callback()
def _options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Options before the command."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line of this process; always ends in `SystemExit`, or of the signal that ended it."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    never_without_output()
    never_refuse_characters()
    termination = Termination()
    termination.watch()
    debug = DEBUG_OPTION in arguments or bool(os.environ.get("EARSHOT_DEBUG"))
    code = run([argument for argument in arguments if argument != DEBUG_OPTION], debug=debug)
    code = _end_output(code)
    termination.finish()
    sys.exit(code)


def run(arguments: Sequence[str], *, debug: bool = False) -> int:
    """Run one command line.

    Parameters
    ----------
    arguments : sequence of str
        Without the program's name.
    debug : bool
        Show where an error comes from.

    Returns
    -------
    int
        The exit code; whatever went wrong has been said on stderr.
    """
    try:
        result = typer.main.get_command(app).main(list(arguments), prog_name="earshot", standalone_mode=False)
    except _PipeClosed:
        let_go_of_stdout()
        return 0
    except (_Interrupted, KeyboardInterrupt, typer.Abort):
        return _say("interrupted", INTERRUPTED)
    except SystemExit as leaving:
        if isinstance(leaving.__context__, BrokenPipeError):  # how rich and click meet a reader that has left
            let_go_of_stdout()
            return 0
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _say(*_line_and_code(error))
    # Without standalone mode click returns the code of `typer.Exit`, or what the function returned.
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def _end_output(code: int) -> int:
    """Write what is still held back; the exit code, which tells when it cannot be written."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        let_go_of_stdout()
    except OSError as error:
        let_go_of_stdout()
        return code or _say(*_line_and_code(error))
    return code


def _line_and_code(error: Exception) -> tuple[str, int]:
    """What to say about an error, and the exit code for it."""
    if isinstance(error, EarshotError):
        return str(error), error.exit_code
    if hasattr(error, "format_message"):  # click's own, wherever typer keeps it
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "earshot"
        what = error.format_message().rstrip(".") or "a command is missing"
        return f"{what}; see '{path} --help'", int(getattr(error, "exit_code", 2))
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return f"the output cannot be written ({error.strerror}); make room on the disk or name another place", 2
    if isinstance(error, OSError) and error.errno in _WRONG_PLACE and error.filename is not None:
        return f"{error.filename}: cannot be used ({error.strerror}); name another place", 2
    what = f"unexpected {type(error).__name__}: {error}"
    return f"{what} (a bug; run again with {DEBUG_OPTION} to see where)", 1


def _say(text: str, code: int) -> int:
    """Write one line on stderr, red on a terminal; returns the code."""
    line = printable(f"earshot: {' '.join(text.split())}")
    red = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    with suppress(OSError):  # a terminal that is gone
        typer.echo(typer.style(line, fg="red") if red else line, err=True)
    return code


if __name__ == "__main__":
    main()
