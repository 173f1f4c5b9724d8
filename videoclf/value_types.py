"""Hold plain values of a config against the annotations of what they are arguments of.

A constructor that is given `abc` for a number fails in words of its own, or not at all; here the
key, the value and what it must be are named before. Only plain types are judged: numbers, text,
true and false, null, choices (`Literal`), `Count`, and lists and mappings of these. Whatever else
an argument is annotated with takes an object, which a config names by `_target_`.
"""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from videoclf.errors import ConfigError


@dataclass(frozen=True)
class AtLeast:
    """A lower limit, for `Annotated`."""

    limit: int


#: Of what there is at least one, such as channels of a layer.
Count = Annotated[int, AtLeast(1)]

_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    type(None): "null",
}
_PLURALS = {int: "whole numbers", Count: "whole numbers from 1", float: "numbers", str: "texts"}
_PLAIN = (bool, int, float, str, list, tuple, type(None))


def check_values(target: Callable[..., Any], values: Mapping[str, Any], *, name: str = "") -> None:
    """Hold values against the annotations of a class's or function's arguments.

    Args:
        target: whose arguments they are; keys that it does not have are passed over.
        values: plain, or built already.
        name: where they stand in the config, such as `model`; empty at its top.

    Raises:
        ConfigError: one is of another type; the text names the key, the value and the type.
    """
    for key, hint in _hints(target).items():
        if key not in values or fits(values[key], hint):
            continue
        where, shown = f"{name}.{key}" if name else key, show(values[key])
        remedy = ""
        if isinstance(values[key], (int, float)) and str in (hint, *get_args(hint)):
            remedy = f"""; quote it: "{where}='{shown}'" """.rstrip()
        raise ConfigError(f"{where}={shown} must be {describe(hint)}{remedy}")


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value may be given where an annotation stands; what is unknown may be."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin is Annotated:
        limits = [each.limit for each in inner[1:] if isinstance(each, AtLeast)]
        return fits(value, inner[0]) and all(value >= limit for limit in limits)
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if origin is Literal:
        return any(type(value) is type(each) and value == each for each in inner)
    if hint in _WORDS:
        return _is_a(value, hint)
    container = origin if inspect.isclass(origin) else hint
    if not inspect.isclass(container):
        return True
    if issubclass(container, Mapping):
        key, item = inner or (Any, Any)
        return isinstance(value, Mapping) and all(
            fits(k, key) and fits(v, item) for k, v in value.items()
        )
    if container is tuple and inner and inner[-1] is not Ellipsis:
        listed = isinstance(value, (list, tuple)) and len(value) == len(inner)
        return listed and all(fits(each, kind) for each, kind in zip(value, inner, strict=True))
    if issubclass(container, Iterable):
        kind = inner[0] if inner else Any
        return not isinstance(value, _PLAIN) or (
            isinstance(value, (list, tuple)) and all(fits(each, kind) for each in value)
        )
    return container is object or not isinstance(value, _PLAIN)


def _is_a(value: Any, kind: type) -> bool:
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and not math.isnan(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, (str, Path)) if kind is Path else isinstance(value, kind)


def describe(hint: Any) -> str:
    """Return what an annotation takes, in words, such as "a whole number or null"."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        limits = [f" from {each.limit}" for each in inner[1:] if isinstance(each, AtLeast)]
        return describe(inner[0]) + "".join(limits)
    if origin in (Union, types.UnionType, Literal):
        return _either(_choices(hint))
    if hint in _WORDS:
        return _WORDS[hint]
    container = origin if inspect.isclass(origin) else hint
    if not inspect.isclass(container):
        return str(hint)
    if issubclass(container, Mapping):
        return "a mapping of keys to values"
    if container is tuple and inner and inner[-1] is not Ellipsis:
        return f"a list of {len(inner)}: {', '.join(describe(each) for each in inner)}"
    if issubclass(container, Iterable):
        of = inner[0] if inner else Any
        if of is Any:
            return "a list"
        return f"a list of {_PLURALS[of]}" if of in _PLURALS else f"a list, each {describe(of)}"
    return f"{_article(container.__name__)}, a node with _target_"


def show(value: Any) -> str:
    """Return a value as it would be typed."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(show, value))}]"
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}: {show(item)}' for key, item in value.items())}}}"
    return str(value)


def _choices(hint: Any) -> list[str]:
    """Return the words for what an annotation takes, one for each way."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        kinds = [each for each in inner if not (each is int and float in inner)]
        return [word for kind in kinds for word in _choices(kind)]
    if origin is Literal:
        return [show(each) for each in inner]
    return ["true", "false"] if hint is bool else [describe(hint)]


def _either(words: Sequence[str]) -> str:
    different = list(dict.fromkeys(words))
    return " or ".join(filter(None, [", ".join(different[:-1]), different[-1]]))


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOU' else 'a'} {noun}"


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations that can be told; those of names only type checkers import cannot."""
    function: Any = inspect.unwrap(target.__init__ if inspect.isclass(target) else target)
    known = getattr(function, "__globals__", {})
    if inspect.isclass(target):  # a dataclass writes its constructor in a namespace of its own
        known = {**vars(inspect.getmodule(target) or types), **known}
    hints: dict[str, Any] = {}
    for name, parameter in inspect.signature(target).parameters.items():
        if parameter.annotation is parameter.empty:
            continue
        alone = types.SimpleNamespace(__annotations__={name: parameter.annotation})
        try:
            hints |= typing.get_type_hints(alone, globalns=dict(known), include_extras=True)
        except (NameError, TypeError):
            continue
    return hints
