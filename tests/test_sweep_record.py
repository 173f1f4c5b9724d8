"""What a sweep says of its jobs."""

from tests.conftest import run_script


def test_each_job_says_what_became_of_it(tmp_path):
    words = ("data.batch_size=0,-1", "seed=5", "-m")
    ended = run_script("train.py", *words, cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    said = ended.stderr.splitlines()
    for job, value in ((1, 0), (2, -1)):
        begin = f"job {job} of the sweep, data.batch_size={value}, failed: data: data.batch_size="
        assert any(line.startswith(begin) for line in said), ended.stderr
    assert said[-1].startswith("error: data: data.batch_size=0 must be")
