"""Build objects from plain configuration: `_target_` names the class, the other keys its arguments.

Only names on the allowlist are built: our own classes, exactly the third-party ones listed here,
and whatever stands below a package that the user trusts by `trusted_packages=[my_package]`. A
config is data from outside (a checkpoint carries one), so nothing else may run.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from videoclf.errors import ConfigError
from videoclf.value_types import check_values

#: Modules of ours whose classes a config may name; a model's file is found below `models`.
OWN_MODULES = (
    "videoclf.batch_norm",
    "videoclf.checkpoints",
    "videoclf.data.formats",
    "videoclf.evaluation.ensemble",
    "videoclf.evaluation.inference",
    "videoclf.evaluation.views",
    "videoclf.generated",
    "videoclf.loggers",
    "videoclf.lora",
    "videoclf.models",
    "videoclf.multigrid",
    "videoclf.optimizers",
    "videoclf.samplers",
    "videoclf.sharding",
    "videoclf.tasks",
    "videoclf.transforms",
)
THIRD_PARTY = frozenset(
    {"pytorch_lightning.Trainer", "pytorch_lightning.loggers.TensorBoardLogger"}
)
#: So many valid names are listed in an error.
NUM_NAMED = 20
_DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)


def build(
    node: Mapping[str, Any],
    *,
    name: str,
    trusted_packages: Iterable[str] = (),
    **runtime: Any,
) -> Any:
    """Build what a node names, and every node with a `_target_` inside it, innermost first.

    Args:
        node: plain mapping with `_target_`.
        name: where it stands in the config, such as `model`; errors begin with it.
        trusted_packages: packages of the user's own that may be built from.
        runtime: further arguments, of values that only the run knows.

    Raises:
        ConfigError: a target that may not be built or does not exist, a key that is no argument,
            a missing argument, or a value that the constructor refuses.
    """
    target = find_target(node, name=name, trusted_packages=trusted_packages)
    arguments = {
        key: _build_inside(value, name=f"{name}.{key}", trusted_packages=trusted_packages)
        for key, value in node.items()
        if key != "_target_"
    }
    check_arguments(target, {**arguments, **runtime}, name=name)
    check_values(target, arguments, name=name)
    arguments |= runtime
    try:
        return target(**arguments)
    except (ValueError, TypeError, ZeroDivisionError, RuntimeError) as error:  # torch's, the last
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{name}: {' '.join(str(error).split())}") from error


def find_target(
    node: Mapping[str, Any], *, name: str, trusted_packages: Iterable[str] = ()
) -> Callable[..., Any]:
    """Import what `_target_` names, if it may be built.

    Raises:
        ConfigError: it may not, or it does not exist.
    """
    path = node.get("_target_")
    if not isinstance(path, str) or not path:
        raise ConfigError(f"{name} has no _target_: name the class to build")
    if isinstance(trusted_packages, str):
        raise ConfigError(
            f"trusted_packages={trusted_packages} must be a list; say [{trusted_packages}]"
        )
    module_name, _, attribute = path.rpartition(".")
    ours = _stands_below(module_name, OWN_MODULES)
    trusted = [each for each in trusted_packages if _stands_below(path, [each])]
    listed = ours or trusted or path in THIRD_PARTY
    if not (listed and _DOTTED_NAME.fullmatch(path)):
        raise ConfigError(
            f"{name}._target_={path} is not on the list of what a config may build; "
            "for a class of your own say trusted_packages=[its_package]"
        )
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{name}._target_={path}: no module {error.name!r} is installed"
        ) from error
    found = vars(module).get(attribute)
    home = [module_name] if ours else trusted  # what a module has only imported is not its own
    own_class = inspect.isclass(found) and (
        path in THIRD_PARTY or _stands_below(found.__module__, home)
    )
    if found is None or not own_class:
        own = [n for n, c in vars(module).items() if inspect.isclass(c) and n[0] != "_"]
        raise ConfigError(
            f"{name}._target_={path}: {module_name} defines no class {attribute!r}"
            + nearest(attribute, own)
        )
    constructor: Callable[..., Any] = found
    return constructor


def _stands_below(path: str, packages: Iterable[str]) -> bool:
    return any(f"{path}.".startswith(f"{package}.") for package in packages)


def check_arguments(target: Callable[..., Any], keys: Iterable[str], *, name: str) -> None:
    """Hold keys against a constructor's signature.

    Raises:
        ConfigError: a key that is no argument (with the nearest that is), or one that is missing.
    """
    parameters = inspect.signature(target).parameters.values()
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    accepted = [p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    given = set(keys)
    for key in sorted(given - set(accepted)):
        if not open_ended:
            raise ConfigError(f"{name} has no key {key!r}{nearest(key, accepted)}")
    required = [p.name for p in parameters if p.default is p.empty and p.name in accepted]
    missing = [key for key in required if key not in given]
    if missing:
        raise ConfigError(f"{name} lacks {', '.join(missing)}; set {name}.{missing[0]}=...")


def nearest(wrong: str, valid: Iterable[str]) -> str:
    """Return a clause that names the nearest valid name, or the valid ones if none is near."""
    names = list(dict.fromkeys(valid))
    close = difflib.get_close_matches(wrong, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    more = ", ..." if len(names) > NUM_NAMED else ""
    return f"; valid names: {', '.join(sorted(names)[:NUM_NAMED])}{more}" if names else ""


def _build_inside(value: Any, *, name: str, trusted_packages: Iterable[str]) -> Any:
    if isinstance(value, Mapping):
        if "_target_" in value:
            return build(value, name=name, trusted_packages=trusted_packages)
        return {
            key: _build_inside(inner, name=f"{name}.{key}", trusted_packages=trusted_packages)
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return tuple(
            _build_inside(inner, name=f"{name}[{place}]", trusted_packages=trusted_packages)
            for place, inner in enumerate(value)
        )
    return value
