import pytest

from videoclf.cli import main


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
