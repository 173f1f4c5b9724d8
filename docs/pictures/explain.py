"""Draw where and when a network looks, as `videoclf explain` shows it, for a page of 700 pixels.

python docs/pictures/explain.py PICTURE best.ckpt VIDEO [--layer stages.1]

Whatever follows the picture goes to `videoclf explain`, a checkpoint and one video.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

from videoclf import cli

WIDTH_PIXELS = 900


def draw(picture: Path, words: list[str]) -> None:
    """Write the picture.

    Raises:
        SystemExit: the checkpoint or the video cannot be read.
    """
    with tempfile.TemporaryDirectory() as folder:
        code = cli.main(["explain", *words, "--output", folder])
        if code:
            sys.exit(code)
        (found,) = Path(folder).glob("*.png")
        with Image.open(found) as opened:
            height = round(opened.height * WIDTH_PIXELS / opened.width)
            resized = opened.convert("RGB").resize((WIDTH_PIXELS, height), Image.Resampling.LANCZOS)
    resized.quantize(200).save(picture, optimize=True)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), sys.argv[2:])
