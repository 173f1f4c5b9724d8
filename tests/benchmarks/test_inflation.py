import json


def test_the_table_has_a_row_a_run_and_the_means(script, tmp_path):
    inflation = script("inflation")
    for start, values in {
        "scratch_0": (0.2, 0.4),
        "scratch_1": (0.4, 0.6),
        "inflated_0": (0.5, 1),
    }.items():
        folder = tmp_path / start
        folder.mkdir()
        rows = [f"{n},{100 * n + 99},{value}" for n, value in enumerate(values)]
        (folder / "metrics.csv").write_text(
            "\n".join(["epoch,step,val/video_top1_1x1", "0,9,", *rows])
        )
        metrics = {"test/video_top1_3x1": values[-1]}
        (folder / "results.json").write_text(json.dumps({"metrics": metrics}))
    (tmp_path / "inflated_1").mkdir()  # not finished: left out
    curves = inflation.read_runs(tmp_path)
    lines = list(inflation.table(tmp_path, curves))
    assert lines[0] == "| start | seed | 100 steps | 200 steps | test |"
    assert "| scratch | 1 | 0.400 | 0.600 | 0.600 |" in lines
    assert "| **scratch** | mean | **0.300** | **0.500** | **0.500** |" in lines
    assert "| inflated | 0 | 0.500 | 1.000 | 1.000 |" in lines
