"""The card of an entry for processes that import no torch: asked of a process that does.

`python -m videoclf.weights.describing torchvision:R3D_18/KINETICS400_V1` writes it as JSON. It
fetches the weights too, so that a missing file is told before any rank has started; how far that
is, it says on stderr.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

from videoclf.errors import CheckpointError, ConfigError, StorageError, VideoclfError, WorkerError
from videoclf.weights.card import Card, card_of
from videoclf.weights.hashes import check_hash
from videoclf.weights.sources import Name, parse, source_of

#: Schemes whose metadata are read without torch; the others are asked of a process of their own.
WITHOUT_TORCH = ("file", "hf")
#: Asks for errors on stdout.
ANSWER = "--answer"


@cache
def describe(name: str) -> Card:
    """Return the card of an entry whose weights are at hand; found once in a process.

    Raises:
        ConfigError: there is no such entry.
        CheckpointError: its files are missing.
    """
    parsed = parse(name)
    if parsed.scheme in WITHOUT_TORCH:
        return _described(parsed)
    command = [sys.executable, "-W", "ignore", "-m", __name__, name, ANSWER]
    asked = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    answer = json.loads(asked.stdout or "{}")
    if asked.returncode == 0:
        return card_of(answer, place=name)
    kinds = {kind.exit_code: kind for kind in (ConfigError, CheckpointError, StorageError)}
    died = f"the process that was to read the card of {name} died (exit code {asked.returncode})"
    raise kinds.get(asked.returncode, WorkerError)(answer.get("error", died))


def _described(name: Name) -> Card:
    """Return a card, the file of its weights being there and whole."""
    source = source_of(name)
    card = source.card(name)
    check_hash(source.fetch(name), card.sha256)
    return card


def main(name: str, *, answer: bool = False) -> int:
    """Write the card of an entry; an error is a sentence on stderr.

    Args:
        name: of the entry.
        answer: an error, too, is part of the answer, so that stderr is left to progress.
    """
    try:
        card = _described(parse(name))
    except VideoclfError as error:
        if answer:
            sys.stdout.write(json.dumps({"error": str(error)}))
        else:
            sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(json.dumps(card.as_dict()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], answer=ANSWER in sys.argv[2:]))
