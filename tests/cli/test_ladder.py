import pytest

from videoclf.cli import main
from videoclf.cli.ladder import _columns, _rows
from videoclf.ladder.strategies import STRATEGIES
from videoclf.ladder.tasks import COLUMNS


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["-s", "3D CN"], 2, "--strategy='3D CN' is no row of the ladder; did you mean '3D CNN'?"),
        (["-t", "sped"], 2, "--task='sped' is no task of the ladder; did you mean 'speed'?"),
        (["-t", "speed", "--distances"], 2, "--distances chooses the tasks; leave out --task"),
        (["--add", "mine model=x"], 2, "is not of the form 'name: model=... key=value'"),
        (["--only-report"], 3, "holds no finished cell of this ladder; leave out --only-report"),
    ],
)
def test_mistakes(words, code, message, tmp_path, capsys):
    assert main(["ladder", "-o", str(tmp_path / "out"), *words]) == code
    assert message in capsys.readouterr().err


def test_quick_takes_some_rows_and_columns_where_none_are_named():
    assert len(_rows([], [], quick=True)) == 10
    assert len(_columns([], distances=False, quick=True)) == 4
    assert [row.name for row in _rows(["TimeSformer"], [], quick=True)] == ["TimeSformer"]
    assert [each.name for each in _columns(["speed"], distances=False, quick=True)] == ["speed"]
    assert _rows([], [], quick=False) == list(STRATEGIES)
    assert _columns([], distances=False, quick=False) == list(COLUMNS)
