"""Files of the Hugging Face hub, by its own client: cached, resumable, held against their hash."""

from __future__ import annotations

from pathlib import Path

import httpx
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

from videoclf.errors import CheckpointError
from videoclf.weights.sources import Name


def from_hub(name: Name, repository: str, file: str) -> Path:
    """Return a file of a repository, from the hub's cache or the network.

    Raises:
        CheckpointError: it is not there and cannot be fetched.
    """
    try:
        return Path(hf_hub_download(repository, file))
    except LocalEntryNotFoundError as error:
        raise CheckpointError(
            f"{file} of {name} is not on this machine and cannot be fetched; where there is a "
            f"network run `hf download {repository}`, and copy "
            f"models--{repository.replace('/', '--')} of its cache to {constants.HF_HUB_CACHE}"
        ) from error
    except EntryNotFoundError as error:
        raise CheckpointError(f"{repository} on the Hugging Face hub has no {file}") from error
    except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"cannot fetch {file} of {name}: {reason}") from error
