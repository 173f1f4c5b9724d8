from videoclf.loggers.csv import CsvLogger
from videoclf.reports.metrics_csv import read_metrics


def test_rows_go_to_the_run_folder_by_step_and_epoch(tmp_path):
    logger = CsvLogger(folder=str(tmp_path))
    logger.log_metrics({"train/loss": 0.5, "epoch": 0.0}, step=3)
    logger.log_metrics({"val/video_top1_1x1": 0.25, "epoch": 0.0}, step=7)
    logger.log_metrics({"epoch": 1.0}, step=9)  # nothing to say
    assert read_metrics(tmp_path / "metrics.csv")["train/loss"] == [(3, 0.5)]
    assert read_metrics(tmp_path / "metrics.csv")["val/video_top1_1x1"] == [(7, 0.25)]
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 3


def test_it_has_a_fixed_name(tmp_path):
    logger = CsvLogger(folder=str(tmp_path))
    logger.log_hyperparams({"secret": 1})
    assert (logger.name, logger.version) == ("csv", "")
    assert not list(tmp_path.iterdir())


def test_a_resumed_run_drops_the_rows_it_measures_again(tmp_path):
    logger = CsvLogger(folder=str(tmp_path))
    for step in range(4):
        logger.log_metrics({"train/loss": float(step)}, step=step)
    CsvLogger(folder=str(tmp_path)).continue_before(2)
    assert read_metrics(tmp_path / "metrics.csv")["train/loss"] == [(0, 0.0), (1, 1.0)]
