"""What goes wrong while a config is composed, as one sentence and an exit code.

Hydra's own errors name places in its config search path, and repeat values that may be secrets;
here the override that is wrong is named, and the nearest valid key or option.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any, TextIO

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from videoclf.build import nearest
from videoclf.config import CONF
from videoclf.errors import ConfigError, VideoclfError, end_with
from videoclf.log import show_log
from videoclf.reports.redaction import redact_command, redact_text
from videoclf.value_types import show

#: Plugins of Hydra's by the name of their option, with the extra of ours that installs each.
EXTRAS = {"joblib": "joblib", "optuna": "optuna", "submitit_slurm": "slurm"}
#: So many options that have a key are named.
NUM_NAMED = 5


def run_entry_point(task: Callable[[], Any], config_name: str | None = None) -> int:
    """Run a Hydra main function and turn whatever it raises into an exit code and a sentence.

    `VIDEOCLF_TRACEBACK=1` in the environment shows the traceback too.

    Args:
        task: the function.
        config_name: of the config it composes, whose keys are the valid ones; None is the script's.
    """
    name = config_name or Path(sys.argv[0]).stem
    signal.signal(signal.SIGINT, signal.default_int_handler)
    show_log()
    try:
        with redirect_stderr(_Discreet(sys.stderr)):
            task()
    except VideoclfError as error:
        return end_with(str(error), error.exit_code)
    except (HydraException, OmegaConfBaseException) as error:
        return end_with(explain(error, sys.argv[1:], name), ConfigError.exit_code)
    except ValueError as error:
        if "Config group override" not in str(error):  # Hydra's, for an option that is no name
            raise
        return end_with(explain(error, sys.argv[1:], name), ConfigError.exit_code)
    except KeyboardInterrupt:
        return end_with("interrupted before the run had started", 130)
    return 0


class _Discreet:
    """A stream without secrets, and without Hydra's list of the overrides of a failed job."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what may be shown."""
        if text.startswith("Error executing job with overrides"):
            return len(text)
        return self._stream.write(redact_text(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def explain(error: Exception, arguments: Sequence[str], config_name: str) -> str:
    """Return a sentence about what Hydra or OmegaConf has refused.

    Args:
        error: what was raised.
        arguments: of the command line.
        config_name: the config that was composed.
    """
    plugin = re.search(r"Could not find 'hydra/(?:sweeper|launcher)/(\w+)'", str(error))
    if plugin is not None and plugin[1] in EXTRAS:
        return (
            f"{plugin[1]}, a plugin of Hydra's, is not installed; "
            f"pip install -e '.[{EXTRAS[plugin[1]]}]'"
        )
    bare = "missing EQUAL" in str(error)  # else a word without may be the value of a flag
    typed = [text for text in arguments if text[:1] != "-"]
    overrides = [text for text in typed if bare or "=" in text or text[0] == "~"]
    for text in overrides:
        try:
            override = OverridesParser.create().parse_override(text)
        except HydraException:
            shown = redact_command(text)
            return f"cannot parse {shown!r}; write key=value, and quote lists: 'key=[1,2]'"
        key = override.key_or_group.lstrip("+~")
        if (CONF / key).is_dir():
            wrong = _wrong_option(key, override, config_name)
        else:
            wrong = None if override.is_add() else _wrong_key(key, config_name, overrides)
        if wrong is not None:
            return wrong
    return " ".join(str(error).split())


def _options(group: str, config_name: str) -> list[str]:
    found = sorted(path.stem for path in (CONF / group).glob("*.yaml") if path.stem[0] != "_")
    return [*found, "checkpoint"] if config_name == "evaluate" else found


def _wrong_option(group: str, override: Override, config_name: str) -> str | None:
    choice, options = override.value(), _options(group, config_name)
    if isinstance(choice, Mapping):  # whose values may be secrets
        return f"{group}= takes the name of an option; set its keys one by one: {group}.<key>=..."
    if choice is None and group in _needed_groups(config_name) and not override.is_delete():
        return f"{group}=null: a run needs one; valid names: {', '.join(options)}"
    if isinstance(choice, (str, int, float)) and str(choice) not in options:
        near = nearest(str(choice), options)
        return f"{group}={show(choice)}: conf/{group} has no such option{near}"
    return None


def _needed_groups(config_name: str) -> set[str]:
    """Return the groups of which a config chooses an option, where others may be null."""
    read = yaml.safe_load((CONF / f"{config_name}.yaml").read_text(encoding="utf-8"))
    chosen = [each for each in read["defaults"] if isinstance(each, Mapping)]
    return {group for each in chosen for group, option in each.items() if option is not None}


def _wrong_key(key: str, config_name: str, overrides: Sequence[str]) -> str | None:
    keys = valid_keys(config_name, overrides)
    if key in keys:
        return None
    group, _, name = key.rpartition(".")
    if not (CONF / group).is_dir() or not group:
        return f"there is no config key {key!r}{nearest(key, keys)}"
    own = [each for each in keys if each.startswith(f"{group}.")]
    having = [option for option in _options(group, "") if name in _keys_of(group, option)]
    if having:
        more = " and others" if len(having) > NUM_NAMED else ""
        others = f"{', '.join(having[:NUM_NAMED])}{more}"
        return f"there is no config key {key!r} with this {group}; it is one of {group}={others}"
    return f"there is no config key {key!r}{nearest(key, own)}"


def _keys_of(group: str, option: str) -> Mapping[str, Any]:
    read = yaml.safe_load((CONF / group / f"{option}.yaml").read_text(encoding="utf-8"))
    return read if isinstance(read, Mapping) else {}


def valid_keys(config_name: str, overrides: Sequence[str]) -> list[str]:
    """List all keys of the config that the valid group choices among the overrides give."""
    choices = []
    for text in overrides:
        key, _, value = text.partition("=")
        if (CONF / key / f"{value}.yaml").is_file():
            choices.append(text)
    GlobalHydra.instance().clear()
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        try:
            config = compose(config_name=config_name, overrides=choices)
        except HydraException:
            config = compose(config_name=config_name)
    groups = [str(path.relative_to(CONF)) for path in CONF.rglob("*") if path.is_dir()]
    return [*_flatten(OmegaConf.to_container(config, resolve=False)), *groups]


def _flatten(node: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield f"{prefix}{key}"
            yield from _flatten(value, f"{prefix}{key}.")
