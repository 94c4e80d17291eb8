"""Records as JSON: every field by its own name, tuples as lists, no field left out."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

_AS_IT_IS = frozenset((str, int, float, bool, type(None)))


def plain(value: Any) -> Any:
    """The value in dictionaries, lists, texts and numbers. Records are dataclasses or named tuples; bytes become hex."""
    kind = type(value)
    if kind in _AS_IT_IS:
        return value
    if (
        kind is list or kind is tuple
    ):  # these first: an answer is made of hundreds of values, and the exact kinds are cheap to tell
        return [item if type(item) in _AS_IT_IS else plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): item if type(item) in _AS_IT_IS else plain(item) for key, item in value.items()}
    if fields := getattr(kind, "__dataclass_fields__", None) or getattr(kind, "_fields", None):
        items = ((name, getattr(value, name)) for name in fields)
        return {name: item if type(item) in _AS_IT_IS else plain(item) for name, item in items}
    if isinstance(value, (str, int, float)):  # a kind of these
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"no JSON for {kind.__name__}")


def dumps(value: Any, *, ascii_only: bool = False) -> str:
    r"""The value as JSON on one line, always valid UTF-8: a byte of a path that is no UTF-8 stands in it escaped, as `\udcXX`.

    With `ascii_only` everything beyond ASCII is escaped: for a terminal, where some of it would act instead of being shown.
    """
    text = json.dumps(plain(value), ensure_ascii=ascii_only, separators=(",", ":"))
    # A lone surrogate can only stand within a JSON text, where Python's escape of it is JSON's too.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    # DEL passes the encoder, and some terminals act on it.
    return text.replace("\x7f", "\\u007f")
