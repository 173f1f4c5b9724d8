"""Peak memory of one training step of CNN + RNN: python -m tests.models.frozen_memory 256 true."""

import json
import resource
import sys

import torch

from tests.models.contract import configured


def peak_megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(num_frames, frozen):
    torch.set_num_threads(1)
    model = configured(
        "cnn_rnn", num_frames=num_frames, image_size=64, frozen=frozen, sequence="gru"
    )
    model.train()
    # warm up, so that what the libraries need is counted before
    model(torch.zeros(1, 3, 16, 64, 64)).sum().backward()
    clip = torch.randn(1, 3, num_frames, 64, 64)
    before = peak_megabytes()
    model(clip).sum().backward()
    sys.stdout.write(json.dumps({"megabytes": peak_megabytes() - before}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] == "true")
