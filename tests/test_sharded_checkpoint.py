"""Checkpoints that all ranks write: small sharded networks in real processes, no training loop."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
import zipfile

import pytest
import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import (
    get_model_state_dict,
    get_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from tests.forked_ranks import run_ranks, start_ranks
from tests.gadgets import Payload
from tests.poison import sealed
from videoclf import checkpoint_file, checkpoint_folder
from videoclf.checkpoints import SealedCheckpointIO, load
from videoclf.errors import CheckpointError, StorageError
from videoclf.sharded_checkpoint import load_shares
from videoclf.whole_checkpoints import newest_checkpoint


class Network:
    """A sharded network and its optimiser; 5 rows and 1 row share out unevenly, or not at all."""

    def __init__(self, world):
        dist.init_process_group("gloo")
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(4, 5, bias=False),  # before a norm a bias learns noise
            torch.nn.BatchNorm1d(5),
            torch.nn.Linear(5, 1),
        )
        mesh = init_device_mesh("cpu", (world,))
        fully_shard(self.model[0], mesh=mesh)
        fully_shard(self.model, mesh=mesh)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1)
        self.steps = 0

    def train(self, steps):
        """Take steps on data that do not depend on the rank: sums over ranks are exact."""
        for _ in range(steps):
            self.steps += 1
            torch.manual_seed(self.steps)
            self.optimizer.zero_grad()
            self.model(torch.randn(8, 4)).square().mean().backward()
            self.optimizer.step()

    def checkpoint(self):
        """What Lightning hands over to be saved."""
        return {
            "state_dict": get_model_state_dict(self.model),
            "optimizer_states": [get_optimizer_state_dict(self.model, self.optimizer)],
            "save_point": {"epoch": 0, "batch": self.steps, "step": self.steps},
        }

    def whole(self):
        """Every tensor, gathered by torch."""
        weights = get_model_state_dict(self.model)
        state = get_optimizer_state_dict(self.model, self.optimizer)["state"]
        tensors = dict(weights)
        tensors |= {f"{of}/{name}": v for of, values in state.items() for name, v in values.items()}
        return {
            name: value.full_tensor() if isinstance(value, DTensor) else value.clone()
            for name, value in tensors.items()
        }


def read_whole(path):
    """The same tensors from the disk."""
    content = load(path)
    state = content["optimizer_states"][0]["state"]
    flat = {f"{of}/{name}": value for of, values in state.items() for name, value in values.items()}
    return content["state_dict"] | flat


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def save(folder, world, *, steps=2, asynchronous=False):
    """Train from the beginning and save `last.ckpt`, and beside it what torch gathers of it."""

    def work(rank):
        network = Network(world)
        saving = SealedCheckpointIO({"classes": ["a"]}, asynchronous=asynchronous, sharded=True)
        network.train(steps)
        saving.save_shares(network.checkpoint(), folder / "last.ckpt")
        whole = network.whole()
        if asynchronous:
            network.train(1)  # while it is written
        saving.finish()
        if rank == 0:
            torch.save(whole, folder / "whole.pt")

    run_ranks(world, work)
    return folder / "last.ckpt"


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A checkpoint of two ranks."""
    return save(tmp_path_factory.mktemp("pair"), 2)


@pytest.fixture
def copied(pair, tmp_path):
    return shutil.copytree(pair, tmp_path / "last.ckpt")


@pytest.mark.parametrize(("world", "asynchronous"), [(1, False), (2, True), (3, False)])
def test_the_ranks_files_are_the_whole(world, asynchronous, tmp_path):
    path = save(tmp_path, world, asynchronous=asynchronous)
    files = {f"rank_{rank}.safetensors" for rank in range(world)} | {"index.ckpt"}
    assert {file.name for file in path.iterdir()} == files
    assert_equal(read_whole(path), torch.load(tmp_path / "whole.pt"))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["last.ckpt", "whole.pt"]


@pytest.mark.parametrize(
    ("before", "after"), [(2, 2), (2, 1), (1, 2), pytest.param(3, 2, marks=pytest.mark.slow)]
)
def test_any_number_of_ranks_goes_on(before, after, tmp_path):
    """Its own rows are all that a rank reads; the next step is that of a run never stopped."""
    path = save(tmp_path, before)

    def go_on(rank):
        network = Network(after)
        rest = load_shares(path, network.model, [network.optimizer])
        assert sorted(rest) == ["save_point"]
        assert_equal(network.whole(), torch.load(tmp_path / "whole.pt"))
        network.steps = rest["save_point"]["step"]
        network.train(1)
        whole = network.whole()
        if rank == 0:
            torch.save(whole, tmp_path / "gone_on.pt")

    run_ranks(after, go_on)
    (tmp_path / "through").mkdir()
    save(tmp_path / "through", after, steps=3)
    one, other = (torch.load(tmp_path / name) for name in ("gone_on.pt", "through/whole.pt"))
    if before == after:
        assert_equal(one, other)
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], msg=name)


def test_evaluation_leaves_the_optimizer_on_the_disk(pair):
    content = load(pair, optimizer=False)
    assert content["state_dict"].keys() == load(pair)["state_dict"].keys()
    assert all(not values for values in content["optimizer_states"][0]["state"].values())


def test_it_is_described_without_torch(pair):
    assert checkpoint_file.describe(pair)["progress"] == {"epoch": 0, "batch": 2, "step": 2}


def missing(path):
    path.unlink()
    return "is missing"


def truncated(path):
    os.truncate(path, path.stat().st_size - 1)
    return "is damaged: it has"


def flipped(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    return "is damaged: its content does not match its hash"


@pytest.mark.parametrize("damage", [missing, truncated, flipped])
def test_damage_is_named_and_the_newest_whole_one_is_used(damage, copied, tmp_path, capfd):
    whole = shutil.copytree(copied, tmp_path / "best.ckpt")
    message = damage(copied / "rank_1.safetensors")
    with pytest.raises(CheckpointError, match=f"last.ckpt/rank_1.safetensors {message}"):
        load(copied)
    assert newest_checkpoint(tmp_path) == whole
    warning = capfd.readouterr().err
    assert f"rank_1.safetensors {message}" in warning
    assert f"using {whole} instead" in warning


def test_a_folder_without_an_index_is_none(copied):
    (copied / "index.ckpt").unlink()
    with pytest.raises(CheckpointError, match=r"last.ckpt has no index.ckpt: it is no checkpoint"):
        checkpoint_file.describe(copied)


def reindexed(path, change):
    """Write the index anew, with a hash that is right: anybody can."""
    index = path / "index.ckpt"
    with zipfile.ZipFile(index) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    description = json.loads(entries["archive/videoclf.json"])
    change(entries, description)
    entries["archive/videoclf.json"] = json.dumps(description).encode()
    with zipfile.ZipFile(path / "x", "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    sealed((path / "x").read_bytes(), index)
    (path / "x").unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _, said: said["shards"][1].update(name="../other.ckpt"), "as a part of it"),
        (lambda _, said: said["shards"].append("rank_2.safetensors"), "as a part of it"),
        (lambda _, said: said.pop("shards"), "lists no files"),
        (lambda _, said: said["shapes"].update({"state_dict/0.weight": [10**9, 4]}), "hold"),
        (lambda _, said: said["shapes"].update({"state_dict/0.weight": [5, 10**9]}), "hold"),
        (lambda _, said: said["shapes"].pop("state_dict/0.weight"), "cannot load"),
        (lambda _, said: said["shapes"].update({"state_dict/0.weight": "all"}), "cannot load"),
    ],
)
def test_an_index_that_misleads_is_refused(change, message, copied):
    reindexed(copied, change)
    with pytest.raises(CheckpointError, match=message):
        load(copied)


def test_a_payload_in_the_index_is_not_run(copied, tmp_path):
    torch.save({"state_dict": {}, "optimizer_states": [Payload(tmp_path)]}, tmp_path / "rest")
    with zipfile.ZipFile(tmp_path / "rest") as archive:
        payload = archive.read("rest/data.pkl")

    def poison(entries, _):
        name = next(name for name in entries if name.endswith("data.pkl"))
        entries[name] = payload

    reindexed(copied, poison)
    with pytest.raises(CheckpointError, match="which could run code"):
        load(copied)
    assert not (tmp_path / "canary").exists()


def test_what_stepped_aside_is_found_again(copied, tmp_path):
    """As a kill between the two renames leaves it, and one after both."""
    aside = tmp_path / "last.replaced.ckpt"
    copied.rename(aside)
    assert newest_checkpoint(tmp_path) == aside
    checkpoint_folder.recover(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    shutil.copytree(copied, aside)
    checkpoint_folder.recover(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    SealedCheckpointIO({}, sharded=True).remove_checkpoint(copied)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("asynchronous", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_kills_during_saves_leave_what_can_be_loaded(asynchronous, tmp_path):
    """Each time both ranks are killed, one a little later, most while a folder is half written."""

    def save_for_ever(rank):
        network = Network(2)
        saving = SealedCheckpointIO({}, asynchronous=asynchronous, sharded=True)
        for step in range(1, 1_000_000):
            with torch.no_grad():
                for parameter in network.model.parameters():
                    parameter.fill_(step)
            network.steps = step
            saving.save_shares(network.checkpoint(), tmp_path / "last.ckpt")

    chance, in_a_save = random.Random(0), 0
    for _ in range(6):
        ranks = start_ranks(2, save_for_ever)
        deadline = time.monotonic() + 60
        while not (tmp_path / "last.ckpt").exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.05))
        while not any(tmp_path.glob(".*.part")) and time.monotonic() < deadline:
            pass
        for rank in chance.sample(ranks, 2):
            os.kill(rank.pid, signal.SIGKILL)
            time.sleep(chance.uniform(0, 0.002))
        for rank in ranks:
            rank.join()
        in_a_save += any(tmp_path.glob(".*.part"))
        content = load(newest_checkpoint(tmp_path))
        for name in ("0.weight", "2.bias"):
            assert (content["state_dict"][name] == content["save_point"]["step"]).all()
        checkpoint_folder.recover(tmp_path)
        for part in tmp_path.glob(".*.part"):
            shutil.rmtree(part)
        assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    assert in_a_save >= 3


@pytest.fixture
def small_disk(tmp_path):
    """A folder with room for little more than one checkpoint."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_the_one_before(small_disk):
    """Both ranks learn of it, whichever found no room."""

    def work(rank):
        network = Network(2)
        saving = SealedCheckpointIO({}, sharded=True)
        saving.save_shares(network.checkpoint(), small_disk / "last.ckpt")
        if rank == 0:
            (small_disk / "other").write_bytes(bytes(60_000))
        dist.barrier()
        network.train(1)
        said = ""
        try:
            for _ in range(100):
                larger = network.checkpoint() | {"more": torch.zeros(20_000)}
                saving.save_shares(larger, small_disk / "last.ckpt")
        except StorageError as error:
            said = str(error)
        assert "last.ckpt (" in said
        assert "No space left on device" in said
        assert said.endswith("the one before it is kept; make room")

    run_ranks(2, work)
    assert load(small_disk / "last.ckpt")["save_point"]["step"] == 0
    assert not list(small_disk.glob(".*.part"))
