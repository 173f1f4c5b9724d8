"""The file of a URL, fetched so that a broken connection costs a moment and not the file.

What has come stands beside its place (`<name>.part`), with what tells this file from another one
under the same URL (`<name>.part.json`: its ETag, or when it was last changed). The next try, be it
another process's, asks for the rest (`Range`), provided that the file is the same (`If-Range`); a
server that cannot do so sends all of it, and it begins anew. Once it is whole, held against its
size and hash, and on disk, it is moved to its place. No torch here.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from ssl import SSLError
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from videoclf.cache import sync_folder
from videoclf.errors import CheckpointError, StorageError
from videoclf.weights.download_progress import shown_download
from videoclf.weights.hashes import sha256_of

#: What a network or a server does; a disk's errors are none of them.
BROKEN = (URLError, HTTPException, ConnectionError, TimeoutError, SSLError)
#: Tries in a row that bring nothing new.
TRIES = 5
WAIT_SECONDS, MOST_WAIT_SECONDS = 1.0, 16.0
TIMEOUT_SECONDS = 30.0
_CHUNK_BYTES = 1 << 20
_NOT_SATISFIABLE = 416


def download(
    url: str, target: Path, *, sha256: str | None, wait_seconds: float = WAIT_SECONDS
) -> None:
    """Fetch a file to its place, going on where an earlier try broke off.

    Where the first connection fails there is no network, and no second try; one that breaks
    later is taken up again. Of several processes one fetches, and the others wait for it.

    Args:
        url: http or https.
        target: where the file belongs; it appears there whole or not at all.
        sha256: of the file, or the first digits of it; None leaves it at the size.
        wait_seconds: before the second try; twice that before the third, and so on.

    Raises:
        CheckpointError: what has come is not what the hash says; it is thrown away.
        StorageError: it cannot be written.
        URLError, HTTPException, ConnectionError, TimeoutError, SSLError: it cannot be fetched, see
            `BROKEN`; what has come stays.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _held(part, target) as file:
            if target.is_file():  # another process was faster
                part.unlink()
                return
            _Fetching(url, file, part).all(wait_seconds)
            _check(url, part, sha256)
            os.replace(part, target)
            _note(part).unlink(missing_ok=True)
            sync_folder(target.parent)
    except BROKEN:
        raise
    except OSError as error:
        raise StorageError(
            f"cannot write {part} of {url}: {error.strerror or error}; make room, or set "
            "TORCH_HOME to a folder that has it"
        ) from error


class _Fetching:
    """One file on its way.

    Args:
        url: of it.
        file: what has come, open for appending.
        part: its path.
    """

    def __init__(self, url: str, file: BinaryIO, part: Path) -> None:
        self.url, self.file, self.part = url, file, part
        self.answered = False  # whether there is a network at all

    def all(self, wait_seconds: float) -> None:
        """Receive until it is whole."""
        tries, wait, had = 0, wait_seconds, self._size()
        while True:
            try:
                self._receive()
            except BROKEN as error:
                if self._size() > had:
                    tries, wait, had = 0, wait_seconds, self._size()
                tries += 1
                if tries >= TRIES or not (self.answered and _may_pass(error)):
                    raise
            else:
                return
            time.sleep(wait)
            wait = min(2 * wait, MOST_WAIT_SECONDS)

    def _receive(self) -> None:
        """Ask for what is missing, once, and append what comes."""
        start, mark = self._size(), self._mark()
        headers = {"User-Agent": "videoclf", "Accept-Encoding": "identity"}
        if start and mark is not None:
            headers |= {"Range": f"bytes={start}-", "If-Range": mark}
        try:
            response = urlopen(Request(self.url, headers=headers), timeout=TIMEOUT_SECONDS)
        except HTTPError as error:
            self.answered = True
            if error.code == _NOT_SATISFIABLE:
                if error.headers.get("Content-Range") == f"bytes */{start}":
                    return  # it had come whole
                self._begin_anew(None)
            raise
        with response:
            self.answered = True
            if not _goes_on(response.status, response.headers, start):
                self._begin_anew(_mark_of(response.headers))
            length = response.headers.get("Content-Length")
            total = None if length is None else self._size() + int(length)
            with shown_download(self.part.stem, start=self._size(), total=total) as report:
                while chunk := response.read1(_CHUNK_BYTES):
                    self.file.write(chunk)
                    report(len(chunk))
        self.file.flush()
        os.fsync(self.file.fileno())
        if total is not None and self._size() != total:
            raise HTTPException(
                f"the connection broke off after {self._size() / 1e6:.1f} of {total / 1e6:.1f} MB"
            )

    def _size(self) -> int:
        self.file.flush()
        return os.fstat(self.file.fileno()).st_size

    def _mark(self) -> str | None:
        """Return what tells the file that was begun from another one of the same URL."""
        try:
            noted = json.loads(_note(self.part).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        mark = noted.get("mark") if noted.get("url") == self.url else None
        return mark if isinstance(mark, str) else None

    def _begin_anew(self, mark: str | None) -> None:
        self.file.truncate(0)
        noted = {"url": self.url, "mark": mark}
        _note(self.part).write_text(json.dumps(noted), encoding="utf-8")


def _check(url: str, part: Path, sha256: str | None) -> None:
    """Throw away what is not what its publisher says."""
    found = sha256_of(part) if sha256 is not None else ""
    if sha256 is None or found.startswith(sha256.lower()):
        return
    part.unlink()
    _note(part).unlink(missing_ok=True)
    raise CheckpointError(
        f"what {url} sends has the SHA-256 {found[:16]}..., and its publisher says "
        f"{sha256[:16]}...; it is thrown away; fetch it again, or elsewhere"
    )


def _may_pass(error: Exception) -> bool:
    """Whether another try may fare better: not where the server has refused."""
    if not isinstance(error, HTTPError):
        return True
    return error.code >= 500 or error.code in (408, _NOT_SATISFIABLE, 429)


def _goes_on(status: int, headers: HTTPMessage, start: int) -> bool:
    """Whether an answer is the rest that was asked for, and not the whole file."""
    if status != 206:
        return False
    if not (headers.get("Content-Range") or "").startswith(f"bytes {start}-"):
        raise HTTPException(f"asked for bytes from {start}, got {headers.get('Content-Range')}")
    return True


def _mark_of(headers: HTTPMessage) -> str | None:
    """Return what `If-Range` may be asked with: a weak ETag may not."""
    tag = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


@contextmanager
def _held(part: Path, target: Path) -> Iterator[BinaryIO]:
    """Open a part for this process alone; where another has it, wait until that is done."""
    while True:
        with part.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sys.stderr.write(f"another process is fetching {target.name}; waiting for it\n")
                fcntl.flock(file, fcntl.LOCK_EX)
            # the other has moved or removed what was opened here: open what is there now
            if part.is_file() and os.path.samestat(os.fstat(file.fileno()), part.stat()):
                yield file
                return
