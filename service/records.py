"""Records as JSON: every field by its own name, tuples as lists, no field left out."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any


def plain(value: Any) -> Any:
    """The value in dictionaries, lists, texts and numbers. Records are dataclasses or named tuples; bytes become hex."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if fields := getattr(value, "__dataclass_fields__", None) or getattr(value, "_fields", None):
        return {name: plain(getattr(value, name)) for name in fields}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"no JSON for {type(value).__name__}")


def dumps(value: Any, *, ascii_only: bool = False) -> str:
    r"""The value as JSON on one line, always valid UTF-8: a byte of a path that is no UTF-8 stands in it escaped, as `\udcXX`.

    With `ascii_only` everything beyond ASCII is escaped: for a terminal, where some of it would act instead of being shown.
    """
    text = json.dumps(plain(value), ensure_ascii=ascii_only, separators=(",", ":"))
    # A lone surrogate can only stand within a JSON text, where Python's escape of it is JSON's too.
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    # DEL passes the encoder, and some terminals act on it.
    return text.replace("\x7f", "\\u007f")
