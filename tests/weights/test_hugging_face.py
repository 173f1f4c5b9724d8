"""What is said, and how soon, where the Hugging Face hub does not answer; no mock of it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = """
import sys, time
from videoclf.errors import CheckpointError
from videoclf.weights.sources import Name
from videoclf.weights.sources.hugging_face import from_hub
began = time.monotonic()
for file in ("config.json", "model.safetensors"):
    try:
        from_hub(Name("hf", "a/b"), "a/b", file)
    except CheckpointError as error:
        print(error)
print(time.monotonic() - began)
"""


@pytest.fixture
def silent():
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("place", ["http://127.0.0.1:9", None])  # nobody is there, or is silent
def test_no_answer_is_said_within_seconds(tmp_path, silent, place):
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_ENDPOINT": place or silent}
    environment.pop("HF_HUB_OFFLINE", None)
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    first, second, took = done.stdout.splitlines()
    assert first.startswith("config.json of hf:a/b is not on this machine and cannot be fetched;")
    assert "run `hf download a/b`" in second
    assert float(took) < 20  # seconds of a busy machine; the client alone takes 30 for each file
