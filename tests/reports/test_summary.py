import io

from rich.console import Console

from videoclf.reports.summary import print_summary


def said(results, folder):
    console = Console(file=io.StringIO(), width=60, color_system=None)
    print_summary(results, folder, console)
    return console.file.getvalue()


def test_numbers_counts_timing_and_paths(tmp_path, make_results):
    folder = tmp_path / "a [bold] folder with a name that is longer than the terminal is wide"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "best.ckpt").touch()
    text = said(make_results(intervals={"test/video_top1_10x3": (0.7, 0.8)}), folder)
    assert "test/video_top1_10x3   0.750   0.700 to 0.800" in text
    assert "20 videos listed, 20 evaluated\n" in text
    assert "1 min 35 s in all, 1,234 clips/s, 4.2 % of the time waiting for data" in text
    assert f"best    {folder / 'checkpoints' / 'best.ckpt'}\n" in text
    assert "report.html" not in text  # not written


def test_missing_videos_are_named(tmp_path, make_results):
    missing = tuple({"path": f"{i}[red].avi", "reason": "no video stream"} for i in range(5))
    counts = {"expected": 20, "evaluated": 15, "missing": 5}
    text = said(make_results(counts=counts, missing=missing), tmp_path)
    assert "15 evaluated, 5 missing (counted as wrong)" in text
    assert "  0[red].avi: no video stream\n" in text
    assert "and 2 more in results.json" in text


def test_nothing_measured(tmp_path, make_results):
    counts = {"expected": 0, "evaluated": 0, "missing": 0}
    text = said(make_results(metrics={}, counts=counts, timing={}), tmp_path)
    assert "0 videos listed, 0 evaluated" in text
