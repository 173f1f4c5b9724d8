"""Read annotation files as text: which file is meant, is it UTF-8, which line is at fault.

Every fault is a `ConfigError` that begins with `file:line`, shows the value and says what to do.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from videoclf.errors import ConfigError


def annotation_folder(annotations: str | None, holds: str) -> Path:
    """Return `data.annotations` as a folder that exists.

    Args:
        annotations: as configured.
        holds: what lies in it, for the message, such as "classInd.txt and trainlist01.txt".

    Raises:
        ConfigError: it was not given, or is no folder.
    """
    if annotations is None:
        raise ConfigError(f"data.annotations is not set; give the folder that holds {holds}")
    folder = Path(annotations)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise ConfigError(
            f"data.annotations={annotations} {what}; give the folder that holds {holds}"
        )
    return folder


def annotation_file(annotations: str | None, holds: str) -> Path:
    """Return `data.annotations` as a file that exists.

    Raises:
        ConfigError: it was not given, or is no file; its text names the files beside it.
    """
    if annotations is None:
        raise ConfigError(f"data.annotations is not set; give {holds}")
    path = Path(annotations)
    if path.is_dir():
        raise ConfigError(f"data.annotations={annotations} is a folder; give {holds}{_there(path)}")
    return existing_file(path.parent, path.name)


def existing_file(folder: Path, name: str) -> Path:
    """Return a file of a folder.

    Raises:
        ConfigError: it does not exist; its text names those that do.
    """
    path = folder / name
    if not path.is_file():
        raise ConfigError(f"annotation file {path} does not exist; mend the path{_there(folder)}")
    return path


def find_list(folder: Path, words: Sequence[str], suffix: str) -> Path:
    """Return the one file of a folder whose name ends with a word, such as `..._train.csv`.

    Args:
        folder: where to look, not below.
        words: spellings, such as "val" and "validation".
        suffix: such as ".csv".

    Raises:
        ConfigError: there is none, or several; its text names those that exist.
    """
    ending = re.compile(rf"(^|[-_.])({'|'.join(words)}){re.escape(suffix)}$", re.IGNORECASE)
    found = sorted(entry.name for entry in folder.iterdir() if ending.search(entry.name))
    if not found:
        raise ConfigError(
            f"{folder} has no list whose name ends with {words[0]}{suffix}; add it{_there(folder)}"
        )
    if len(found) > 1:
        raise ConfigError(
            f"{folder} holds several {words[0]} lists ({', '.join(found)}); keep the one meant"
        )
    return folder / found[0]


def _there(folder: Path) -> str:
    if not folder.is_dir():
        return f" (there is no folder {folder})"
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_file())
    if not names:
        return f" ({folder} holds no files)"
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return f" ({folder} holds {shown})"


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line without its end) of a UTF-8 file, blank lines left out.

    A byte order mark is dropped; lines end with LF or CR LF.

    Raises:
        ConfigError: a line is not UTF-8.
    """
    text = decode(path)
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")
        if line.strip():
            yield number, line


def decode(path: Path) -> str:
    """Return a file's text, without a byte order mark.

    Raises:
        ConfigError: it is not UTF-8; its text names the line and the byte.
    """
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        start = before.rfind(b"\n") + 1
        shown = content[start : error.start + 1].decode("utf-8", "backslashreplace")
        raise ConfigError(
            f"{path}:{line}: not UTF-8 at {shown[-40:]!r}; save the file with UTF-8 encoding"
        ) from error


def unknown_class(where: str, name: str, class_names: Sequence[str]) -> ConfigError:
    """Return the error for a label that is no class, with the nearest name.

    Args:
        where: `file:line`.
        name: the label as it stands there.
        class_names: all that would have been right.
    """
    near = difflib.get_close_matches(name, class_names, n=1, cutoff=0.5)
    if not near:
        folded = {known.casefold(): known for known in class_names}
        near = [folded[name.casefold()]] if name.casefold() in folded else []
    remedy = f"did you mean {near[0]!r}?" if near else "mend the label or the class list"
    return ConfigError(
        f"{where}: label {name!r} is none of the {len(class_names)} classes; {remedy}"
    )


def class_list(path: Path) -> tuple[str, ...]:
    """Read one class name a line; the class id is the line's place, from 0.

    Raises:
        ConfigError: the file is missing or empty, or a name stands twice.
    """
    existing_file(path.parent, path.name)
    first_line: dict[str, int] = {}
    for number, line in read_lines(path):
        name = line.strip()
        if name in first_line:
            raise ConfigError(
                f"{path}:{number}: class {name!r} stands on line {first_line[name]} already; "
                "delete one of the lines"
            )
        first_line[name] = number
    if not first_line:
        raise ConfigError(f"{path} names no class; write one class name a line")
    return tuple(first_line)
