"""Ranks as forks of the test's process: they talk by gloo, and need no start of torch each."""

import multiprocessing
import os
import socket

import torch


def start_ranks(world, work):
    """Fork `world` processes; each calls `work(rank)` with torchrun's variables; return them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(rank):
        os.environ |= {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(world),
            "LOCAL_WORLD_SIZE": str(world),
            "GROUP_RANK": "0",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "TORCHELASTIC_RUN_ID": "test",
        }
        torch.set_num_threads(1)
        work(rank)

    fork = multiprocessing.get_context("fork")
    ranks = [fork.Process(target=run, args=(rank,)) for rank in range(world)]
    for each in ranks:
        each.start()
    return ranks


def run_ranks(world, work):
    """Start them and wait; each has to end well."""
    ranks = start_ranks(world, work)
    for each in ranks:
        each.join()
    assert [each.exitcode for each in ranks] == [0] * world
