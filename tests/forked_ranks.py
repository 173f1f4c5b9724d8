"""Ranks as forks of the test's process: real processes that talk by gloo, without a start of torch each."""

import os
import socket
import sys
import traceback

import torch


def start_ranks(world, work):
    """Fork `world` processes; each calls `work(rank)` with torchrun's variables; return them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = []
    for rank in range(world):
        child = os.fork()
        if child == 0:
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
            code = 1
            try:
                work(rank)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        processes.append(child)
    return processes


def run_ranks(world, work):
    """Start them and wait; return their exit codes, negative where a signal killed one."""
    return [
        os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in start_ranks(world, work)
    ]
