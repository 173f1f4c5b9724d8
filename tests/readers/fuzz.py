"""Alter the corpus at random and read it: what `make fuzz` does.

    python -m tests.readers.fuzz --files 1000 --reader pyav

What is done to a file follows from the seed and its number alone.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import av

from tests.readers.alterations import ALTERATIONS, Original, alter
from tests.readers.corpus import CASES
from tests.readers.fuzzing import Outcome, read_all
from videoclf.readers import READERS


def plain_reason(reason: str) -> str:
    """Return a reason without what differs from file to file, to count it by."""
    return re.sub(r"\d+", "N", re.sub(r" \(.*\)", "", reason))


def table(outcomes: Sequence[Outcome]) -> str:
    """Return what happened, as lines of text: verdicts by alteration, then reasons by number."""
    verdicts = ("read", "read otherwise", "refused", "crash", "hang", "wrong")
    lines = ["".join(f"{word:>15}" for word in ("", *verdicts))]
    for kind in (*(each.__name__ for each in ALTERATIONS), "all"):
        chosen = [each for each in outcomes if kind in (each.altered.kind, "all")]
        counts = Counter(each.verdict for each in chosen)
        lines.append(f"{kind:>15}" + "".join(f"{counts[verdict]:>15}" for verdict in verdicts))
    reasons = Counter(plain_reason(each.reason) for each in outcomes if each.verdict == "refused")
    lines += ["", "refused because it"]
    lines += [f"{count:>6}  {reason}" for reason, count in reasons.most_common()]
    bad = [each for each in outcomes if each.verdict in ("crash", "hang", "wrong")]
    lines += [f"{each.verdict}: {each.altered.path}: {each.reason}" for each in bad]
    peak = max((each.peak_megabytes for each in outcomes), default=0)
    lines += ["", f"most memory of a process: {peak} MB"]
    return "\n".join(lines)


def corpus_originals(folder: Path) -> list[Original]:
    """Make the whole corpus, as far as this PyAV has the encoders."""
    originals = []
    for case in CASES:
        if case.encoder not in av.codecs_available:
            continue
        path = folder / f"{case.name}{case.suffix}"
        case.make(path)
        numbers = tuple(case.numbers)
        originals.append(Original(case.name, case.suffix, path.read_bytes(), numbers))
    return originals


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz one reader; exit code 1 where a file crashed it, hung it or broke its promise."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=1000)
    readers = [name for name in READERS if name not in ("decoded", "frames")]
    parser.add_argument("--reader", choices=readers, default="pyav")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--keep", type=Path, help="folder that keeps the files at fault")
    options = parser.parse_args(arguments)
    os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder writes to the terminal otherwise
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["VIDEOCLF_CACHE"] = str(folder / "cache")
        originals = corpus_originals(folder)
        altered = alter(originals, folder, options.files, options.seed)
        for outcome in read_all(altered, options.reader, num_processes=options.processes):
            outcomes.append(outcome)
            path = Path(outcome.altered.path)
            if outcome.verdict in ("crash", "hang", "wrong") and options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                path.rename(options.keep / path.name)
            path.unlink(missing_ok=True)
            if len(outcomes) % 100 == 0 or len(outcomes) == options.files:
                sys.stderr.write(f"{len(outcomes)} of {options.files} files\n")
    sys.stdout.write(f"{options.reader}, {len(originals)} kinds of video, seed {options.seed}\n\n")
    sys.stdout.write(table(outcomes) + "\n")
    return int(any(each.verdict in ("crash", "hang", "wrong") for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
