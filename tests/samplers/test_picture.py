"""The picture of the samplers page can be drawn from the samplers as they are."""

import subprocess
import sys

from PIL import Image


def test_the_picture_is_drawn(pytestconfig, tmp_path):
    script = pytestconfig.rootpath / "docs" / "pictures" / "samplers.py"
    subprocess.run([sys.executable, script, tmp_path / "a.png"], check=True, timeout=120)
    committed = pytestconfig.rootpath / "docs" / "images" / "samplers.png"
    with Image.open(tmp_path / "a.png") as drawn, Image.open(committed) as picture:
        assert drawn.size == picture.size
