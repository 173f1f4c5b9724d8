"""Files of the Hugging Face hub, by its own client: cached, resumable, held against their hash.

For a file that is not cached the client asks again and again for half a minute before it says that
there is no network. So it is first asked here, once and for seconds, whether the hub is there.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from ssl import SSLError
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

from videoclf.errors import CheckpointError
from videoclf.weights.sources import Name

#: How long the hub may take to answer at all.
ANSWER_SECONDS = 4.0
#: What the client's own HTTP library raises: that of its errors' bases, whichever library it is.
_HTTP_ERRORS: tuple[type[Exception], ...] = (
    *(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception)),
    OSError,
)


def from_hub(name: Name, repository: str, file: str) -> Path:
    """Return a file of a repository, from the hub's cache or the network.

    Raises:
        CheckpointError: it is not there and cannot be fetched.
    """
    cached = isinstance(try_to_load_from_cache(repository, file), str)
    try:
        offline = not cached and not answers(constants.ENDPOINT)
        return Path(hf_hub_download(repository, file, local_files_only=offline))
    except LocalEntryNotFoundError as error:
        raise CheckpointError(
            f"{file} of {name} is not on this machine and cannot be fetched; where there is a "
            f"network run `hf download {repository}`, and copy "
            f"models--{repository.replace('/', '--')} of its cache to {constants.HF_HUB_CACHE}"
        ) from error
    except EntryNotFoundError as error:
        raise CheckpointError(f"{repository} on the Hugging Face hub has no {file}") from error
    except _HTTP_ERRORS as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"cannot fetch {file} of {name}: {reason}") from error


@cache
def answers(address: str) -> bool:
    """Whether a server answers, be it with a refusal; asked once in a process."""
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        urlopen(Request(address, method="HEAD"), timeout=ANSWER_SECONDS).close()
    except HTTPError:
        return True
    except URLError as error:
        return isinstance(error.reason, SSLError)  # the client may have other certificates
    except OSError:
        return False
    return True
