import json


def test_the_tables_have_a_row_a_run_and_the_margin(script, tmp_path):
    pretraining = script("pretraining")
    for start, values in {
        "scratch_0": (0.2, 0.3),
        "scratch_1": (0.2, 0.5),
        "pretrained_0": (0.5, 0.8),
        "pretrained_1": (0.5, 0.6),
    }.items():
        folder = tmp_path / start
        folder.mkdir()
        rows = [f"{n},{100 * n + 99},{value}" for n, value in enumerate(values)]
        (folder / "metrics.csv").write_text(
            "\n".join(["epoch,step,val/video_top1_1x1", "0,9,", *rows])
        )
        metrics = {"test/video_top1_1x1": values[-1]}
        (folder / "results.json").write_text(json.dumps({"metrics": metrics}))
    (tmp_path / "pretrained_2").mkdir()  # not finished: left out
    curves = pretraining.read_runs(tmp_path)
    lines = list(pretraining.table(tmp_path, curves))
    assert lines[0] == "| start | seed | 100 steps | 200 steps | test |"
    assert "| scratch | 1 | 0.200 | 0.500 | 0.500 |" in lines
    assert "| **pretrained** | mean | | | **0.700** |" in lines
    assert "less scratch: +0.300 (standard deviation 0.283 over 2 seeds)" in lines[-1]
    pretraining.draw(curves, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").is_file()


def test_the_cost_is_a_share_of_that_of_all_tokens(script):
    pretraining = script("pretraining")
    cost = [
        {"visible": 1568, "gmacs": 56.0, "seconds": 8.0},
        {"visible": 160, "gmacs": 5.6, "seconds": 1.0},
    ]
    lines = list(pretraining.cost_table(cost))
    assert lines[-1] == "| 160 | 5.60 | 1.00 | 10.0% | 12.5% |"
