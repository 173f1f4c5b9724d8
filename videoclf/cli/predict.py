"""`videoclf predict`: labels of files, folders and tables; along long files; as files arrive."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoclf.cli import trained
from videoclf.errors import ConfigError, DataError, UnreadableVideoError
from videoclf.types import Unreadable

if TYPE_CHECKING:
    from videoclf.predicting.listing import Listed
    from videoclf.predicting.predictor import Prediction, Predictor

NUM_SHOWN = 5
_ROWS_AT_ONCE = 200


def run(
    checkpoint: Annotated[Path, typer.Argument(help="A run's best.ckpt.", show_default=False)],
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="VIDEO|FOLDER|TABLE... [SETTINGS]",
            help="Files and folders, or one table ([bold].csv .tsv .parquet[/bold] with a column "
            "path) or manifest ([bold].arrow[/bold]); settings as evaluate.py takes them: "
            "[bold]views.num_clips=5[/bold].",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A Parquet file; of --timeline, a folder."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON a line, not a table.")] = False,
    root: Annotated[
        Path | None, typer.Option(help="Folder of the videos of a table or manifest.")
    ] = None,
    timeline: Annotated[
        bool, typer.Option("--timeline", help="Slide a window over each file, however long.")
    ] = False,
    window: Annotated[
        float | None,
        typer.Option(help="Of --timeline, in seconds.", show_default="the length of a clip"),
    ] = None,
    stride: Annotated[
        float | None, typer.Option(help="Of --timeline, in seconds.", show_default="half a window")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Predict what arrives in a folder, until Ctrl-C.")
    ] = False,
    interval: Annotated[
        float, typer.Option(min=0.05, help="Of --watch: seconds between two looks.")
    ] = 1.0,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda.", show_default="cuda where there is one")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do not go on with an earlier run of -o.")
    ] = False,
) -> None:
    """Say what is seen in videos, with probabilities.

    Frames, crops and views are those of the checkpoint's own test. Unreadable
    files are listed with the reason, the others are done, and the exit code is 3.

    [dim]$[/dim] videoclf predict best.ckpt a.mp4 folder views.num_clips=5
    [dim]$[/dim] videoclf predict best.ckpt folder -o predictions.parquet
    [dim]$[/dim] videoclf predict best.ckpt film.mp4 --timeline --window 4 --stride 1
    [dim]$[/dim] videoclf predict best.ckpt inbox --watch
    """
    places = [word for word in words if "=" not in word or Path(word).exists()]
    overrides = [word for word in words if word not in places]
    if not places:
        raise ConfigError("no video is named; give files, folders or a table after the checkpoint")
    _check_options(places, output, timeline, watch, (window, stride))
    if timeline and not any(override.startswith("views=") for override in overrides):
        overrides = ["views.num_clips=1", *overrides]  # a window is one clip unless said otherwise
    predictor = trained.load(checkpoint, overrides, device=device)
    if watch:
        _watch(predictor, Path(places[0]), interval)
        return
    reader = predictor.settings["data"]["reader"]
    from videoclf.predicting.listing import list_videos

    names = predictor.class_names
    listed = list_videos(places, class_names=names, root=root, reader=reader)
    if timeline:
        _timelines(predictor, listed, checkpoint, output or Path("timelines"), window, stride)
    elif output is not None:
        _store(predictor, listed, checkpoint, output, fresh)
    else:
        _show(predictor, listed, as_json)


def _check_options(
    places: Sequence[str],
    output: Path | None,
    timeline: bool,
    watch: bool,
    seconds: tuple[float | None, float | None],
) -> None:
    if timeline and watch:
        raise ConfigError("--timeline and --watch are two ways to predict; give one of them")
    for name, value in zip(("--window", "--stride"), seconds, strict=True):
        if value is not None and not timeline:
            raise ConfigError(f"{name}={value:g} is for --timeline; give that too")
        if value is not None and not value > 0:
            raise ConfigError(f"{name}={value:g} must be above 0 seconds")
    if watch and (len(places) > 1 or not Path(places[0]).is_dir()):
        raise DataError(f"--watch takes one folder, and {' '.join(places)} is none; name a folder")
    if watch and output is not None:
        raise ConfigError(f"--output={output} is not for --watch, which prints a JSON a line")


# a table or JSON on stdout -------------------------------------------------------------------


def _show(predictor: Predictor, listed: Listed, as_json: bool) -> None:
    import numpy as np

    from videoclf.cli.stopping import stoppable

    rows = np.arange(len(listed.manifest))
    unreadable: list[Unreadable] = []
    page: list[Prediction | Unreadable] = []
    with stoppable("nothing is kept of it; with -o the same command would go on from here"):
        for found in predictor.predict_rows(listed.manifest, listed.folder, rows):
            if isinstance(found, Unreadable):
                unreadable.append(found)
            if as_json:
                sys.stdout.write(f"{as_line(found)}\n")
                continue
            page.append(found)
            if len(page) == _ROWS_AT_ONCE:
                _print_table(page)
                page = []
        if page:
            _print_table(page)
    _check_unreadable(unreadable, len(rows))


def as_line(found: Prediction | Unreadable) -> str:
    """Return what was found of a video as one line of JSON."""
    if isinstance(found, Unreadable):
        said: dict[str, Any] = {"path": found.path, "error": found.reason}
    else:
        top = [[name, round(value, 6)] for name, value in found.top(NUM_SHOWN)]
        said = {"path": found.path, "label": top[0][0], "probability": top[0][1], "top": top}
    return json.dumps(said, ensure_ascii=False)


def _print_table(page: Sequence[Prediction | Unreadable]) -> None:
    from rich.table import Table
    from rich.text import Text

    from videoclf.cli.tables import output_console

    console = output_console()
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("video", overflow="fold")
    table.add_column("label", overflow="fold", style="bold")
    table.add_column("", justify="right")
    table.add_column("then", overflow="fold", style="dim")
    for found in page:
        if isinstance(found, Unreadable):
            table.add_row(Text(found.path), Text("unreadable", style="yellow"), "", found.reason)
            continue
        (label, value), *others = found.top(NUM_SHOWN)
        then = ", ".join(f"{name} {share:.1%}" for name, share in others)
        table.add_row(Text(found.path), Text(label), f"{value:.1%}", Text(then))
    console.print(table)


def _check_unreadable(unreadable: Sequence[Unreadable], num_videos: int) -> None:
    if unreadable:
        named = "; ".join(f"{each.path}: {each.reason}" for each in unreadable[:5])
        more = f"; and {len(unreadable) - 5} more" if len(unreadable) > 5 else ""
        raise DataError(
            f"{len(unreadable)} of {num_videos} videos cannot be read: {named}{more}; replace "
            "them, the others are done"
        )


# Parquet -------------------------------------------------------------------------------------


def _store(
    predictor: Predictor, listed: Listed, checkpoint: Path, output: Path, fresh: bool
) -> None:
    from videoclf.cli.progress import shown_progress
    from videoclf.cli.stopping import stoppable
    from videoclf.predicting.stored import SCHEMA, noted_predictions, predict_all, write_noted
    from videoclf.predicting.timeline_files import written
    from videoclf.tools.journal import Journal

    if output.is_dir():
        raise ConfigError(f"--output={output} is a folder; name a file such as out.parquet")
    protocol = {name: predictor.settings[name] for name in ("views", "sampler", "transform")}
    about = {
        "checkpoint_sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "manifest_sha256": listed.manifest.sha256,
        "folder": str(listed.folder.absolute()),
        "protocol": protocol,
    }
    place = output.with_name(f"{output.name}.journal")
    if fresh:
        place.unlink(missing_ok=True)
    with (
        stoppable("the same command goes on from here"),
        Journal(place, schema=SCHEMA, settings=about) as notes,
    ):
        if not notes.is_new:
            sys.stderr.write(f"going on with the run of {notes.began}\n")
        with shown_progress("predicting") as report:
            predict_all(predictor, listed, notes, report)
        with written(output) as file:
            write_noted(predictor, listed, notes, file, protocol=protocol)
        found_rows = noted_predictions(predictor, listed, notes)
        unreadable = [found for found in found_rows if isinstance(found, Unreadable)]
        notes.remove()
    num_videos = len(listed.manifest)
    sys.stdout.write(f"{output}: {num_videos - len(unreadable)} of {num_videos} videos\n")
    _check_unreadable(unreadable, num_videos)


# along time ----------------------------------------------------------------------------------


def _timelines(
    predictor: Predictor,
    listed: Listed,
    checkpoint: Path,
    output: Path,
    window: float | None,
    stride: float | None,
) -> None:
    from videoclf.cli.explain import stems
    from videoclf.cli.progress import shown_progress
    from videoclf.cli.stopping import stoppable
    from videoclf.predicting.timeline import slide
    from videoclf.predicting.timeline_files import write_timeline

    paths = [listed.folder / name for name in listed.manifest.table["path"].to_pylist()]
    unreadable: list[Unreadable] = []
    with stoppable("timelines that were finished are kept"):
        for number, (path, stem) in enumerate(zip(paths, stems(paths), strict=True)):
            try:
                found = slide(predictor, path, window_seconds=window, stride_seconds=stride)
                windows = found.windows
                if window is not None and windows.window_seconds < window:
                    sys.stderr.write(
                        f"{path} is {windows.duration_seconds:.2f} s long, shorter than a window "
                        f"of {window:g} s; it is one window\n"
                    )
                with shown_progress(path.name) as report:
                    segments = write_timeline(
                        found,
                        output / stem,
                        class_names=predictor.class_names,
                        title=path.name,
                        about={"video": str(path), "checkpoint": str(checkpoint)},
                        report=lambda done, total, report=report: report(done, total, 0),  # type: ignore[misc]
                    )
            except UnreadableVideoError as error:
                unreadable.append(Unreadable(number, str(path), error.reason))
                sys.stderr.write(f"{error}\n")
                continue
            sys.stdout.write(
                f"{output / stem}.svg .csv .json .srt .vtt: {len(windows)} windows, "
                f"{len(segments)} segments in {windows.duration_seconds:.1f} s\n"
            )
    _check_unreadable(unreadable, len(paths))


# as files arrive -----------------------------------------------------------------------------


def _watch(predictor: Predictor, folder: Path, interval: float) -> None:
    from videoclf.cli.stopping import stoppable
    from videoclf.predicting.watching import arrivals

    with stoppable(f"{folder} is no longer watched"):
        for path in arrivals(folder, seconds_between=interval):
            sys.stdout.write(f"{as_line(_answer(predictor, path))}\n")
            sys.stdout.flush()


def _answer(predictor: Predictor, path: Path) -> Prediction | Unreadable:
    try:
        return predictor.predict(path)
    except UnreadableVideoError as error:
        return Unreadable(0, str(path), error.reason)
