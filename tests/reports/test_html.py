import html
import os
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from videoclf.errors import DataError
from videoclf.reports.html import write_report

VOID = {"meta", "link", "img", "wbr", "br"}


class Page(HTMLParser):
    """Tags that must be balanced, addresses, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.addresses, self.text = [], [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def page_of(folder, **options):
    path = write_report(folder, root=folder, **options)
    assert path == folder / "report.html"
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


def test_the_page_says_everything(make_run):
    _, page = page_of(make_run())
    words = page.text.replace("\N{NO-BREAK SPACE}", " ")
    for said in [
        "slow_fusion on moving_shapes",
        "0.750",
        "top-1 over 20 listed videos, 10 clips \N{MULTIPLICATION SIGN} 3 crops, probabilities",
        "test/video_top1_10x3",
        "Learning curves",
        "Most often confused",
        "5 most confident of 5 mistakes",
        "Hardest videos",
        "20 evaluated videos",
        "1 min 35 s",
        "4.2 %",
        "1 video left out of training and validation",
        "videos/broken.avi",
        "python train.py seed=1",
        "Resolved config",
        "ab" * 32,
    ]:
        assert said in words, said
    assert page.tags.count("figure") == 3  # two curves, the reliability diagram
    assert page.tags.count("article") == 5 + 5  # the mistakes, and the hardest of the others
    assert page.tags.count("tr") >= 6


def test_the_page_needs_nothing_else(make_run, read_grey):
    folder = make_run()
    (folder / "videos").mkdir()
    for number in (0, 4, 8, 12, 16):
        (folder / "videos" / f"{number:02d} <i>.avi").touch()
    text, page = page_of(folder, read_frames=read_grey)
    assert page.tags.count("img") == 10
    assert all(address.startswith("data:") for address in page.addresses)
    assert not re.search(r"https?://|@import|url\(", text)
    assert "default-src 'none'" in text
    assert "script" not in page.tags


def test_names_stay_text(make_run):
    text, page = page_of(make_run())
    assert "<script>" not in text
    assert "<i>.avi" not in text
    assert "<script>alert(1)</script>" in page.text
    assert 'quote " & <b>' in page.text


def test_secrets_of_the_config_are_hidden(make_run):
    text, _ = page_of(make_run())
    assert "very-secret" not in text
    assert "api_key" in text


def test_missing_videos_stand_out(make_run, make_results, make_predictions):
    results = make_results(
        metrics={"test/video_top1_10x3": 0.7, "test/video_top1_10x3_available": 0.75},
        counts={"expected": 20, "evaluated": 13, "missing": 7},
        missing=tuple({"path": f"videos/{i}.avi", "reason": f"reason {i}"} for i in range(7)),
    )
    _, page = page_of(make_run(results, make_predictions(missing=range(7))))
    assert "7 videos of 20 could not be evaluated" in page.text
    assert "except in test/video_top1_10x3_available" in page.text
    assert "2 more" in page.text
    assert all(f"reason {i}" in page.text for i in range(7))


def test_results_alone_make_a_page(tmp_path, make_results):
    make_results().save(tmp_path / "results.json")
    _, page = page_of(tmp_path)
    assert "Learning curves" not in page.text
    assert "Confusion" not in page.text
    assert "0.750" in page.text
    assert "Resolved config" not in page.text


def test_without_results_there_is_no_page(tmp_path):
    with pytest.raises(DataError, match=r"results\.json"):
        write_report(tmp_path, root=None)
    assert not (tmp_path / "report.html").exists()


def test_nothing_evaluated(make_run, make_results, make_predictions):
    results = make_results(
        metrics={"test/video_top1_10x3": float("nan")},
        counts={"expected": 0, "evaluated": 0, "missing": 0},
    )
    _, page = page_of(make_run(results, make_predictions(0)))
    assert "nothing to measure" in page.text
    assert "No video was evaluated." in page.text
    assert "Confusion" not in page.text


def test_one_class_and_no_mistake(make_run, make_results, make_predictions):
    predictions = make_predictions(3, classes=("only",))
    _, page = page_of(make_run(make_results(classes=("only",)), predictions))
    assert "No mistake among 3 evaluated videos." in page.text
    assert page.text.count("only") >= 3


def test_multi_label(make_run, make_results, make_predictions):
    results = make_results(metrics={"test/video_map_10x3": 0.4, "test/video_top1_10x3": 0.9})
    _, page = page_of(make_run(results, make_predictions(20, multi_label=True)))
    assert "mAP over 20 listed videos" in page.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "Average precision over the evaluated videos" in page.text
    assert "Confusion" not in page.text
    assert page.tags.count("article") == 5 + 5


def test_four_hundred_classes_stay_small(make_run, make_results, make_predictions):
    classes = tuple(f"class {i}" for i in range(400))
    predictions = make_predictions(800, classes=classes)
    text, page = page_of(make_run(make_results(classes=classes), predictions))
    assert page.tags.count("img") == 1
    assert "400 classes, those that are taken for one another next to each other" in page.text
    assert "Hardest" in page.text
    assert "All 400 classes" in page.text
    assert len(text) < 500_000


def test_spans_are_shown(make_run, make_predictions):
    predictions = replace(make_predictions(), starts=[1.5] * 20, ends=[None] * 10 + [4.0] * 10)
    _, page = page_of(make_run(predictions=predictions))
    assert "1.5 s to 4.0 s" in page.text
    assert "1.5 s to the end" in page.text


@pytest.fixture
def chromium(tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("chromium is not installed: the page is not looked at in a browser")
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
        "--disable-background-networking --disable-component-update --disable-sync"
    )

    def run(page, *more):
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        command = [browser, *flags.split(), profile, *more, page.as_uri()]
        environment = {**os.environ, "HOME": str(tmp_path)}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True, env=environment
        ).stdout

    return run


def test_a_browser_draws_it(make_run, chromium, tmp_path):
    folder = make_run()
    write_report(folder, root=folder)
    picture = tmp_path / "page.png"
    chromium(folder / "report.html", "--window-size=1280,2000", f"--screenshot={picture}")
    picture = Image.open(picture).convert("RGB")
    assert picture.size == (1280, 2000)
    assert len(picture.getcolors(maxcolors=1 << 24)) > 50
    pixels = np.asarray(picture)
    blank = (pixels == pixels[:, :1]).all(axis=(1, 2))
    assert blank.mean() < 0.8


MEMBERS = {
    "fusion": "cascade",
    "members": [
        {"name": "/a/long/" * 12 + "run_a", "top1": 0.61, "share": 1.0, "cost": 1.1e8},
        {"name": "<i>b</i>", "top1": 0.75, "share": 0.4, "cost": 3.3e9},
    ],
    "ties": 3,
    "threshold": 0.7,
    "unsure_by": "confidence",
    "relative_cost": 0.42,
    "cost_unit": "MACs",
    "fitted_on": {"subset": "val", "videos": 33},
}


def test_members_of_an_ensemble(make_run, make_results):
    text, page = page_of(make_run(make_results(ensemble=MEMBERS)))
    words = page.text.replace("\N{NO-BREAK SPACE}", " ")
    for said in ("Members", "its own top-1", "0.610", "40.0 %", "3.3 G", "42.0 % of asking all"):
        assert said in words, said
    assert "Fitted on 33 videos of subset val." in words
    assert "3 ties of votes" in words
    assert "<i>b</i>" in page.text
    assert "<i>b" not in text


SECTIONS = [
    "Members",
    "Learning curves",
    "Confusion",
    "Classes",
    "Calibration",
    "Most confident mistakes",
    "Hardest videos",
    "Time",
    "To repeat it",
]


@pytest.mark.parametrize("width", [390, 1280])
def test_the_structure_in_a_browser(make_run, make_results, read_grey, chromium, tmp_path, width):
    folder = make_run(make_results(ensemble=MEMBERS))
    (folder / "videos").mkdir()
    for number in range(20):
        (folder / "videos" / f"{number:02d} <i>.avi").touch()
    write_report(folder, root=folder, read_frames=read_grey)
    measure = """<script>
      const heads = [...document.querySelectorAll('h2')];
      document.body.dataset.heads = heads.map(h => h.textContent.trim()).join('|');
      document.body.dataset.tops = heads.map(h => Math.round(h.getBoundingClientRect().top));
      const films = [...document.querySelectorAll('.film img')];
      document.body.dataset.films = films.filter(i => i.complete && i.naturalWidth > 300).length;
      document.body.dataset.small = [...document.querySelectorAll('main *')].filter(e =>
        e.childNodes.length && e.textContent.trim() && !e.closest('details') &&
        parseFloat(getComputedStyle(e).fontSize) < 10).length;
    </script></body>"""
    body = measured_body(folder, chromium, tmp_path, measure, width)
    found = html.unescape(re.search('data-heads="([^"]*)"', body)[1]).split("|")
    assert [head for head in found if "left out" not in head] == SECTIONS
    tops = [int(top) for top in re.search('data-tops="([^"]*)"', body)[1].split(",")]
    assert tops == sorted(set(tops))
    assert int(re.search(r'data-films="(\d+)"', body)[1]) == 2 * (5 + 5)
    assert 'data-small="0"' in body  # nothing too small to read


def measured_body(folder, chromium, tmp_path, script, width):
    """Return the tag of the body after a script has measured the page, which itself runs none."""
    page = (folder / "report.html").read_text(encoding="utf-8")
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    measured = tmp_path / "measured.html"
    measured.write_text(page.replace("</body>", script), encoding="utf-8")
    return re.search("<body[^>]*>", chromium(measured, f"--window-size={width},800", "--dump-dom"))[
        0
    ]


def test_nothing_sticks_out_on_a_phone(
    make_run, make_predictions, make_results, chromium, tmp_path
):
    names = ("a-very-long-class-name-" * 8, "left", "right", "<b>up</b>", "down")
    results = make_results(
        ensemble=MEMBERS,
        counts={"expected": 20, "evaluated": 19, "missing": 1},
        missing=({"path": "a/very/long/path/" * 9, "reason": "a long reason " * 9},),
    )
    folder = make_run(results, make_predictions(classes=names, missing=(1,)))
    write_report(folder, root=folder)
    measure = """<script>
      const wide = document.documentElement.clientWidth;
      const out = [...document.querySelectorAll('main *')].filter(e =>
        !e.closest('.scroll') && !e.closest('pre') && e.getBoundingClientRect().right > wide);
      document.body.dataset.width = wide;
      document.body.dataset.out = out.map(e => e.tagName + '.' + e.className).join(' ');
      document.body.dataset.scroll = document.documentElement.scrollWidth - wide;
    </script></body>"""
    body = measured_body(folder, chromium, tmp_path, measure, 390)
    assert int(re.search(r'data-width="(\d+)"', body)[1]) <= 500
    assert 'data-out=""' in body, body
    assert 'data-scroll="0"' in body, body
