import logging

import yaml

from tests.conftest import PROJECT
from videoclf.log import show_log


def test_lines_go_to_stderr_once(capsys):
    show_log()
    show_log()
    logging.getLogger("videoclf.data.formats.holdout").info("val: %d held out", 3)
    assert capsys.readouterr().err == "val: 3 held out\n"


def test_hydra_leaves_the_log_alone():
    for name in ("train", "evaluate"):
        text = (PROJECT / "conf" / f"{name}.yaml").read_text(encoding="utf-8")
        defaults = yaml.safe_load(text)["defaults"]
        # its `disabled` would switch every logger off that exists by then
        assert {"override hydra/job_logging": "none"} in defaults
        assert {"override hydra/hydra_logging": "none"} in defaults
