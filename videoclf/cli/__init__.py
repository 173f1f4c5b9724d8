"""The command `videoclf <tool>`: one module a tool; what a tool needs is imported when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from videoclf import __version__
from videoclf.cli import (
    bench,
    check,
    compare,
    explain,
    features,
    flow,
    ladder,
    predict,
    prepare,
    probe,
    profile,
    splits,
    weights,
)
from videoclf.errors import ConfigError, VideoclfError, end_with

#: What a command line that makes no sense raises; where it is defined depends on typer's version.
_USAGE_ERROR: type[Any] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name="videoclf",
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 2 a setting is wrong, 3 videos are missing or have problems, "
    "5 weights are missing or do not fit, 6 a disk is full, 7 a process died. Train with "
    "train.py, evaluate with evaluate.py.",
)
app.command("check", rich_help_panel="Videos")(check.run)
app.command("prepare", rich_help_panel="Videos")(prepare.run)
app.command("flow", rich_help_panel="Videos")(flow.run)
app.command("features", rich_help_panel="Networks")(features.run)
app.command("predict", rich_help_panel="Networks")(predict.run)
app.command("explain", rich_help_panel="Networks")(explain.run)
app.command("probe", rich_help_panel="Networks")(probe.run)
app.command("profile", rich_help_panel="Models")(profile.run)
app.command("compare", rich_help_panel="Models")(compare.run)
app.command("splits", rich_help_panel="Models")(splits.run)
app.command("ladder", rich_help_panel="Models")(ladder.run)
app.add_typer(weights.app, name="weights", rich_help_panel="Networks")
app.add_typer(bench.app, name="bench", rich_help_panel="Speed")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"videoclf {__version__}")
        raise typer.Exit


@app.callback()
def _describe(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, help="Show the version.")
    ] = False,
) -> None:
    """Look after your videos, and measure what training makes of them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a tool and return the exit code; the last line on stderr says what went wrong.

    `VIDEOCLF_TRACEBACK=1` in the environment shows the traceback too.
    """
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        command = typer.main.get_command(app)
        code = command.main(args=words, prog_name="videoclf", standalone_mode=False)
    except VideoclfError as error:
        return end_with(str(error), error.exit_code)
    except _USAGE_ERROR as error:
        path = error.ctx.command_path if error.ctx is not None else "videoclf"
        sentence = error.format_message().rstrip(".")
        return end_with(f"{sentence}; see {path} --help", ConfigError.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    if code == 130:
        sys.stderr.write("error: interrupted\n")
    return code if isinstance(code, int) else 0
