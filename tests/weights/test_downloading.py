"""Files of a real HTTP server on this machine, which keeps its word or does not."""

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError, URLError

import pytest

from videoclf.errors import CheckpointError
from videoclf.weights import downloading
from videoclf.weights.downloading import BROKEN, download
from videoclf.weights.sources import Name

CONTENT = bytes(range(256)) * 4096  # 1 MiB
OTHER = CONTENT[::-1]
NAME = "net.pth"


class Server(ThreadingHTTPServer):
    """Serves one file.

    Args:
        ranges: whether it can send a part of it.
        drops: how many of its answers break off after a third of what they should send.
        status: of every answer, if it is to refuse.
        tagged: whether it names its file by an ETag.
    """

    def __init__(self, *, ranges=True, drops=0, status=None, tagged=True):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges, self.drops, self.status, self.tagged = ranges, drops, status, tagged
        self.content = CONTENT
        self.asked = []  # (Range, If-Range) of each request

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/models/{NAME}"

    @property
    def tag(self):
        return f'"{hashlib.sha256(self.content).hexdigest()[:8]}"'


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.asked.append((asked, self.headers.get("If-Range")))
        if server.status is not None:
            self.send_error(server.status)
            return
        whole, start = server.content, 0
        if asked and server.ranges and self.headers.get("If-Range") == server.tag:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
        if start >= len(whole):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(whole)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        self.send_header("Content-Length", str(len(whole) - start))
        if server.tagged:
            self.send_header("ETag", server.tag)
        self.end_headers()
        dropped = server.drops > 0
        server.drops -= dropped
        end = start + (len(whole) - start) // 3 if dropped else len(whole)
        self.wfile.write(whole[start:end])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def serve():
    """Start servers that end with the test."""
    servers = []

    def start(**settings):
        servers.append(Server(**settings))
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def fetch(server, folder, sha256=None):
    download(server.url, folder / NAME, sha256=sha256, wait_seconds=0.01)


def only(folder):
    """Return the content of the one file of a folder."""
    (path,) = folder.iterdir()
    assert path.name == NAME
    return path.read_bytes()


def test_a_file_comes_whole(serve, tmp_path):
    server = serve()
    fetch(server, tmp_path / "hub", hashlib.sha256(CONTENT).hexdigest()[:8])
    assert only(tmp_path / "hub") == CONTENT
    assert server.asked == [(None, None)]


def test_where_it_broke_off_it_goes_on(serve, tmp_path):
    server = serve(drops=2)
    fetch(server, tmp_path)
    assert only(tmp_path) == CONTENT
    first, *rest = server.asked
    third = len(CONTENT) // 3
    second = third + (len(CONTENT) - third) // 3
    assert first == (None, None)
    assert rest == [(f"bytes={third}-", server.tag), (f"bytes={second}-", server.tag)]


def test_a_later_call_goes_on_too(serve, tmp_path, monkeypatch):
    server = serve(drops=1)
    monkeypatch.setattr(downloading, "TRIES", 1)
    with pytest.raises(BROKEN, match=r"broke off after 0.3 of 1.0 MB"):
        fetch(server, tmp_path)
    assert (tmp_path / f"{NAME}.part").stat().st_size == len(CONTENT) // 3
    assert not (tmp_path / NAME).exists()
    fetch(server, tmp_path)
    assert only(tmp_path) == CONTENT
    assert server.asked[-1] == (f"bytes={len(CONTENT) // 3}-", server.tag)


def test_what_had_come_whole_is_not_fetched_again(serve, tmp_path):
    server = serve()
    part = tmp_path / f"{NAME}.part"
    part.write_bytes(CONTENT)
    note = {"url": server.url, "mark": server.tag}
    part.with_name(f"{part.name}.json").write_text(json.dumps(note))
    fetch(server, tmp_path)
    assert only(tmp_path) == CONTENT
    assert server.asked == [(f"bytes={len(CONTENT)}-", server.tag)]


@pytest.mark.parametrize("settings", [{"ranges": False}, {"tagged": False}])
def test_a_server_that_cannot_go_on_begins_anew(serve, tmp_path, settings):
    server = serve(drops=1, **settings)
    fetch(server, tmp_path, hashlib.sha256(CONTENT).hexdigest())
    assert only(tmp_path) == CONTENT
    assert len(server.asked) == 2


def test_a_file_that_changed_meanwhile_begins_anew(serve, tmp_path, monkeypatch):
    server = serve(drops=1)
    monkeypatch.setattr(downloading, "TRIES", 1)
    with pytest.raises(BROKEN):
        fetch(server, tmp_path)
    old, server.content = server.tag, OTHER
    fetch(server, tmp_path)
    assert server.asked[-1] == (f"bytes={len(CONTENT) // 3}-", old)
    assert only(tmp_path) == OTHER


def test_the_rest_of_another_file_is_not_appended(serve, tmp_path, monkeypatch):
    first, second = serve(drops=1), serve()
    monkeypatch.setattr(downloading, "TRIES", 1)
    with pytest.raises(BROKEN):
        fetch(first, tmp_path)
    fetch(second, tmp_path)
    assert second.asked == [(None, None)]
    assert only(tmp_path) == CONTENT


def test_another_hash_is_said_and_nothing_is_left(serve, tmp_path):
    with pytest.raises(CheckpointError, match=r"sends has the SHA-256 .*publisher says deadbe"):
        fetch(serve(), tmp_path, "deadbeef")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_never_finishes_is_given_up_and_what_came_stays(serve, tmp_path, monkeypatch):
    server = serve(drops=99)
    server.content = CONTENT[:2]  # a third of two bytes is none
    with pytest.raises(BROKEN, match="broke off"):
        fetch(server, tmp_path)
    assert len(server.asked) == downloading.TRIES


def test_the_sentence_says_what_broke_and_what_to_do(serve, tmp_path, monkeypatch):
    from videoclf.weights.sources.torch_hub import from_torch_hub  # brings torch along

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(downloading, "TRIES", 1)
    server = serve(drops=9)
    place = tmp_path / "hub" / "checkpoints" / NAME
    with pytest.raises(CheckpointError) as raised:
        from_torch_hub(Name("mmaction", "net"), server.url)
    said = str(raised.value)
    assert "the weights mmaction:net are not on this machine and cannot be fetched (the " in said
    assert f"after 0.3 of 1.0 MB); fetch {server.url} elsewhere and put it at {place}" in said
    server.drops = 0
    assert from_torch_hub(Name("mmaction", "net"), server.url).read_bytes() == CONTENT


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (503, downloading.TRIES)])
def test_who_refuses_is_not_asked_again_and_who_is_busy_is(serve, tmp_path, status, tries):
    server = serve(status=status)
    with pytest.raises(HTTPError, match=str(status)):
        fetch(server, tmp_path)
    assert len(server.asked) == tries


def test_without_a_network_there_is_one_try(tmp_path, monkeypatch):
    def never(seconds):
        raise AssertionError("waited")

    monkeypatch.setattr(downloading.time, "sleep", never)
    with pytest.raises(URLError, match="refused"):
        download("http://127.0.0.1:9/net.pth", tmp_path / NAME, sha256=None)


def test_of_two_at_once_one_fetches(serve, tmp_path, capfd):
    server = serve(drops=3)
    settings = {"sha256": None, "wait_seconds": 0.2}
    both = [
        threading.Thread(target=download, args=(server.url, tmp_path / NAME), kwargs=settings)
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert only(tmp_path) == CONTENT
    assert len(server.asked) == 4
    assert "another process is fetching net.pth; waiting" in capfd.readouterr().err
