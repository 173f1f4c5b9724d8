"""The command itself: help without heavy imports, exit codes, one sentence for what is wrong."""

import os
import signal
import subprocess
import sys

import pytest

from videoclf import __version__
from videoclf.cli import main
from videoclf.cli.progress import shown_progress
from videoclf.cli.stopping import stoppable


def run(capsys, *arguments):
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err.splitlines()


def test_help_imports_nothing_heavy():
    program = (
        "import sys; from videoclf.cli import main; code = main(['check', '--help']); "
        "print('imported', *{'torch', 'av', 'numpy', 'pyarrow', 'hydra'} & set(sys.modules)); "
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "imported"
    assert "--seconds-per-file" in done.stdout


def test_python_m_videoclf():
    command = [sys.executable, "-m", "videoclf", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"videoclf {__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["-h"], ["bench", "loader", "--help"]])
def test_help(capsys, arguments):
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, [])
    assert "Usage: videoclf" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["chek"], "error: No such command 'chek'. Did you mean 'check'?; see videoclf --help"),
        (["check"], "error: Missing argument 'SOURCE'; see videoclf check --help"),
        (["check", "--processes", "0", "."], "error: Invalid value for '--processes': "),
        (["check", "nowhere"], "error: nowhere does not exist; name a folder of videos, a table"),
        (["check", "data=foldr"], "conf/data has no such option; did you mean 'folder'?"),
        (["check", "data.rot=x"], "there is no config key 'data.rot'; did you mean 'data.root'?"),
        (["check", "a", "b"], "error: 'a b' names 2 things; name one folder or file, or settings"),
        (["prepare", ".", "out", "--crf", "70"], "error: crf must be from 0 to 51, not 70"),
        (["bench", "loader", "model=nothing"], "conf/model has no such option"),
    ],
)
def test_wrong_command_lines(capsys, arguments, sentence):
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert sentence in err[-1]


def test_missing_folders_are_missing_data(capsys, tmp_path):
    code, _, err = run(capsys, "check", "data=folder", f"data.root={tmp_path / 'gone'}")
    assert code == 3
    assert "does not exist; give the folder of the videos" in err[-1]
    (tmp_path / "a.arrow").touch()
    assert run(capsys, "check", str(tmp_path / "a.arrow"))[0] == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_a_tool_in_order(capsys, number, code):
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, stoppable("go on later"):
        os.kill(os.getpid(), number)
    assert ended.value.code == code
    name = signal.Signals(number).name
    assert capsys.readouterr().err == f"error: stopped by {name}; go on later\n"
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


def test_progress_in_a_log_file_is_a_line_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr("videoclf.cli.progress.LINE_SECONDS", 0.0)
    with shown_progress("checking") as report:
        report(2, 10, 0)
        report(6, 10, 1)
    assert capsys.readouterr().err.splitlines()[-1].startswith("checking 6/10  1 problems  ")


def test_progress_in_a_terminal_is_a_bar(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with shown_progress("checking") as report:
        report(2, 10, 0)
        report(6, 10, 3)
    assert "6/10" in capsys.readouterr().err
