"""What the command line writes on: how wide it is, whether it takes colours, and what may be shown there.

Text from repositories is hostile: an escape sequence in a file name or in a comment could move the cursor or rewrite what stands
above it, a bidi mark could show code in another order than it runs. On a terminal all such characters are shown escaped. In a
pipe code goes through byte for byte, as with grep, and names stay on one line.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable

STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "title": "1;36",
    "mark": "1;33",
}
_KEPT = "\u3000"  # the ideographic space is no control character, though Python does not count it as printable


def printable(text: str) -> str:
    """The text with control, bidi and other invisible characters written as escapes, so that it stands on one line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in _KEPT else _escape(char) for char in text)


def _escape(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8 (surrogateescape)
        code -= 0xDC00
    named = {9: "\\t", 10: "\\n", 13: "\\r"}.get(code)
    if named:
        return named
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def columns(text: str) -> int:
    """How many columns a terminal needs for the text: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def cut(text: str, width: int) -> str:
    """The text if it fits in so many columns, else its beginning and an ellipsis."""
    return text if columns(text) <= width else beginning(text, width - 1) + "…"


def beginning(text: str, width: int) -> str:
    """As much of the text as fits in so many columns."""
    if text.isascii():
        return text[: max(width, 0)]
    kept = room = 0
    for char in text:
        room += columns(char)
        if room > width:
            break
        kept += 1
    return text[:kept]


class Terminal:
    """The two output streams. `rich`: written for eyes, with colours and escapes; `width`: columns, None in a pipe."""

    def __init__(self, out: TextIO, err: TextIO, color: str = "auto") -> None:
        self.out, self.err = out, err
        self.is_terminal = _is_terminal(out)
        self.err_is_terminal = _is_terminal(err)
        self.rich = self.is_terminal if color == "auto" else color == "always"
        bare = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        self.colors = color == "always" or (color == "auto" and self.is_terminal and not bare)
        self.err_colors = color == "always" or (color == "auto" and self.err_is_terminal and not bare)
        self.width = _width(out) if self.is_terminal else None

    def paint(self, text: str, style: str) -> str:
        """The text in a style of `STYLES`, where the output takes colours."""
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.colors and text else text

    def name(self, text: str) -> str:
        """A path or another name from a repository, safe to show, on one line."""
        if self.rich:
            return printable(text)
        return text if text.isprintable() or not any(char in text for char in "\n\r\t") else printable(text)

    def write(self, text: str) -> None:
        """Writes to the output."""
        self.out.write(text)

    def lines(self, lines: Iterable[str]) -> None:
        """Writes lines to the output."""
        self.out.writelines(f"{line}\n" for line in lines)

    def json(self, value: Any) -> None:
        """Writes records as one line of JSON."""
        from codequarry.service.records import dumps

        self.out.write(dumps(value, ascii_only=self.is_terminal) + "\n")

    def note(self, text: str) -> None:
        """Writes a remark for people, beside the output."""
        label = "\x1b[2mnote:\x1b[0m" if self.err_colors else "note:"
        self.say(f"{label} {printable(text)}")

    def say(self, text: str) -> None:
        """Writes a line beside the output; what stands in it must be printable."""
        self.out.flush()
        self.err.write(text + "\n")
        self.err.flush()


def open_terminal(color: str = "auto") -> Terminal:
    """The terminal over the process's own streams. A pipe gets UTF-8, and bytes of file names that are not UTF-8 as they are."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            if _is_terminal(stream):
                stream.reconfigure(errors="backslashreplace")
            else:
                stream.reconfigure(encoding="utf-8", errors="surrogateescape")
    return Terminal(sys.stdout, sys.stderr, color)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def _width(stream: TextIO) -> int:
    try:
        return max(int(os.environ.get("COLUMNS", "")) or 80, 20)
    except ValueError:
        pass
    try:
        return max(os.get_terminal_size(stream.fileno()).columns or 80, 20)
    except OSError:
        return 80
