"""Keep keys and tokens out of whatever a run leaves behind: results, summary, report.

A user may pass a key as an override (`logger.api_key=...`) or in a URL. Its name stays readable,
its value does not. Numbers and booleans stay, since `num_tokens: 196` is no secret. The values of
environment variables with secret names (`WANDB_API_KEY`) are hidden wherever they stand.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HIDDEN = "(hidden)"

_SECRET_NAME = re.compile(
    r"(?:^|[^a-z])(?:api[-_]?keys?|access[-_]?keys?|private[-_]?keys?|auth|authorization|token|"
    r"secrets?|passwd|password|passphrase|credentials?|cookie|bearer)(?:$|[^a-z])",
    re.IGNORECASE,
)
_URL_LOGIN = re.compile(r"(://)[^/\s@]+@")
_SHORTEST = 8  # characters of a variable's value; shorter ones would hide ordinary words
_HARMLESS_VALUE = re.compile(r"[-+]?[0-9.]+(?:e[-+]?\d+)?|true|false|null|none", re.IGNORECASE)


def redact(value: Any) -> Any:
    """Return plain values (dicts, lists, scalars) with the text under secret names hidden."""
    if isinstance(value, Mapping):
        return {key: _redact_item(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(item) for item in value]
    if isinstance(value, str):
        return redact_text(value)
    return value


def redact_text(text: str) -> str:
    """Return a text without logins in addresses, and without secrets of the environment.

    The path of a file that is there stays: a folder may be called like somebody's password.
    """
    if text.startswith("/") and _is_path(text):
        return text
    for name, secret in os.environ.items():
        if secret in text and _SECRET_NAME.search(name) and _looks_secret(secret):
            text = text.replace(secret, HIDDEN)
    return _URL_LOGIN.sub(rf"\1{HIDDEN}@", text)


def _looks_secret(value: str) -> bool:
    """Whether the value of a variable with a secret name is one; SSH_AUTH_SOCK holds a path."""
    return len(value) >= _SHORTEST and not _HARMLESS_VALUE.fullmatch(value) and not _is_path(value)


def _is_path(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # longer than a name may be, or with a zero byte
        return False


def _redact_item(name: str, value: Any) -> Any:
    if isinstance(value, str) and value and _SECRET_NAME.search(name):
        return value if _HARMLESS_VALUE.fullmatch(value) else HIDDEN
    return redact(value)


def redact_command(command: str) -> str:
    """Return a shell command with the values of secret `name=value` words hidden.

    `--name value` is understood too. Words that need no change keep their quoting.
    """
    try:
        words = shlex.split(command)
    except ValueError:  # quotes that do not close: fall back to what blanks separate
        words = command.split()
    kept: list[str] = []
    hide_next = False
    for word in words:
        name, equals, value = word.partition("=")
        secret = bool(_SECRET_NAME.search(name))
        if hide_next and not word.startswith("-"):
            kept.append(HIDDEN)
        elif equals and value and secret and not _HARMLESS_VALUE.fullmatch(value):
            kept.append(f"{name}={HIDDEN}")
        else:
            kept.append(str(redact(word)))
        hide_next = name.startswith("-") and not equals and secret
    if kept == words:
        return command
    return " ".join(word if HIDDEN in word else shlex.quote(word) for word in kept)
