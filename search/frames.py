"""Stack frames in a text: where a program was, as its language writes it in a traceback, a panic or a compiler's message.

One row a form in `_FORMS`, tried in order on each line. The patterns are anchored or begin with a literal, and no group repeats a
group, so that a line is read in time linear in its length; a line longer than `LONGEST` is cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from codequarry.search.features import last_name
from codequarry.types import Candidate

LONGEST = 400
"""Characters of a line that are looked at: frames are shorter, minified code and data are longer."""


class Frame(NamedTuple):
    """One place of a call stack. `path` is as written, with `/` between segments; `line` is 0 and `function` empty if unknown."""

    path: str
    line: int
    function: str


_PATH = r"[^\s\"'()<>|,;:*?]{1,200}"  # no white space, and no sign that ends a path in prose or in a message
_DRIVE = r"(?:[A-Za-z]:)?"
_URL = r"(?:[a-z-]{1,20}://[^/\s]{0,100}/)?"

_PLACE = rf"(?P<path>{_DRIVE}{_PATH}):(?P<line>\d{{1,7}})"

_FORMS: tuple[re.Pattern[str], ...] = tuple(
    re.compile(form)
    for form in (
        # Python: File "a/b.py", line 3, in name
        r"\s*(?:\S{1,3} )?File \"(?P<path>[^\"]{1,300})\", line (?P<line>\d{1,7})(?:, in (?P<function>[\w.<>]+))?",
        # IPython: File ~/a/b.py:3, in Class.name(args), and before version 8: ~/a/b.py in name(args)
        rf"\s*File {_PLACE},? in (?P<function>[\w.<>]+)",
        rf"\s*(?P<path>{_DRIVE}[~./\\]{_PATH}\.pyx?) in (?P<function>[\w.<>]+)\(",
        # C#: at Space.Class.Name(Type arg) in C:\a\B.cs:line 3
        rf"\s*at (?P<function>[\w.<>`\[\],]+) ?\([^)]*\) in (?P<path>{_DRIVE}{_PATH}):line (?P<line>\d{{1,7}})",
        # JavaScript, TypeScript: at name (file:///a/b.js:3:5), at async a/b.js:3:5
        rf"\s*at (?:async )?(?:new )?(?P<function>[\w.$<>#]+)(?: \[as [\w.$]+\])? \({_URL}{_PLACE}:\d+\)",
        rf"\s*at (?:async )?{_URL}{_PLACE}:\d+",
        # Java, Kotlin, Scala: at org.app.Class.name(Class.java:3), also with a module or a class loader before it
        r"\s*(?:at |\.{3} ?)?(?:[\w.@-]+/){0,3}(?P<function>[\w$.<>]+\.[\w$<>]+)"
        r"\((?P<path>[\w$-]+\.(?:java|kt|kts|scala|groovy|clj)):?(?P<line>\d{1,7})?\)",
        # Firefox, Safari: name@https://host/a/b.js:3:5
        rf"\s*(?P<function>[\w.$/<>*]*)@{_URL}(?P<path>{_PATH}):(?P<line>\d{{1,7}}):\d+",
        # Rust: at ./src/a.rs:3:5, --> src/a.rs:3:5, panicked at src/a.rs:3:5
        rf"\s*(?:at|-->|\d+: ) ?(?P<path>{_DRIVE}{_PATH}\.rs):(?P<line>\d{{1,7}})",
        rf".{{0,120}}?panicked at (?:'[^']*', )?{_PLACE}",
        # C, C++ under gdb, lldb or a sanitizer: #1 0x00f in name (args) at a/b.c:3, #1 0x00f in name a/b.c:3:5
        r"\s*(?:frame )?#\d{1,4}:? +(?:0x[0-9a-f]+ +)?(?:in )?(?P<function>[\w:~<>]+).{0,300}? "
        rf"(?:at )?(?P<path>{_DRIVE}{_PATH}\.\w{{1,5}}):(?P<line>\d{{1,7}})",
        # PHP: #0 /a/B.php(3): Class->name(), in /a/B.php:3, in /a/B.php on line 3
        r"\s*#\d{1,4} (?P<path>[^()\"]{1,200}\.php)\((?P<line>\d{1,7})\): ?(?P<function>[\w\\:>-]*)",
        rf".{{0,200}}? in (?P<path>{_DRIVE}{_PATH}\.php)(?::| on line )(?P<line>\d{{1,7}})",
        # Ruby: from a/b.rb:3:in `name'
        rf"\s*(?:from |\d+: from )?(?P<path>{_DRIVE}{_PATH}\.\w{{1,8}}):(?P<line>\d{{1,7}}):in [`'](?P<function>[\w?!=.#:<> ]+)'",
        # Go: a tab, the path and how far in the function: /a/b.go:3 +0x1d
        rf"\s+(?P<path>{_DRIVE}{_PATH}\.go):(?P<line>\d{{1,7}})(?: \+0x[0-9a-f]+)?\s*$",
        # A compiler's or an assertion's message: a/b.c:3:5: error: …, a/b.c:3: name: Assertion …
        rf"\s*(?P<path>{_DRIVE}{_PATH}\.\w{{1,5}}):(?P<line>\d{{1,7}})(?::\d+)?: ",
        rf"\s*(?P<path>{_DRIVE}{_PATH}\.\w{{1,5}})\((?P<line>\d{{1,7}})(?:,\d+)?\): ",
    )
)
_HINT = re.compile(r":\d|line \d|\.(?:java|kt|php|py)\b|\(\d")
# Go and Rust write the function on the line above: `main.(*Policy).Wait(0x1)`, `  12: acme::retry::wait`.
_FUNCTION_ABOVE = (".go", ".rs")
_CALLED = re.compile(r"\s*(?:created by |\d{1,4}: +)?([\w./:<>*()$-]*\w)(?:\([^()]*\)| in goroutine \d+)?\s*$")
_LAST_NAME = re.compile(r"\w+(?=\W*$)")
_JVM_FILE = re.compile(r"\.(?:java|kt|kts|scala|groovy|clj)$")


def frames(text: str) -> Iterator[Frame]:
    """The frames of a text, line by line, in the order in which they are written.

    >>> list(frames('  File "app/retry.py", line 7, in wait'))
    [Frame(path='app/retry.py', line=7, function='wait')]
    """
    before = ""
    for line in text.split("\n"):
        if (frame := frame_of(line)) is not None:
            if not frame.function and frame.path.endswith(_FUNCTION_ABOVE) and (called := _CALLED.match(before)):
                frame = frame._replace(function=called[1])
            yield frame
        before = line[:LONGEST]


def frame_of(line: str) -> Frame | None:
    """The frame that a line is, None for any other line."""
    return _frame_of(line[:LONGEST])


@lru_cache(maxsize=4_096)  # a line is asked for when it is sorted and when frames are listed
def _frame_of(line: str) -> Frame | None:
    if not _HINT.search(line):  # nearly every line of prose and code ends here
        return None
    for form in _FORMS:
        if found := form.match(line):
            groups = found.groupdict()
            path, function = groups["path"].replace("\\", "/"), groups.get("function") or ""
            if _JVM_FILE.search(path):
                path = _with_package(path, function)
            if "." in path.rsplit("/", 1)[-1]:
                return Frame(path, int(groups.get("line") or 0), function.split("(")[0])
    return None


def _with_package(file: str, function: str) -> str:
    """A JVM frame names its file without folders: they are the package, the segments before the class."""
    package = [segment for segment in function.split(".")[:-1] if segment and segment[0].islower()]
    return "/".join([*package, file])


class Stack:
    """The places of a call stack, by the name of the file."""

    def __init__(self, found: Iterable[Frame]) -> None:
        self._named: dict[str, list[Frame]] = {}
        for frame in found:
            self._named.setdefault(frame.path.rsplit("/", 1)[-1], []).append(frame)

    def passes(self, candidate: Candidate) -> float:
        """Whether a frame is in a chunk: 1 where the chunk defines its function, half for its line, else 0.

        Lines move from version to version, names rarely do; but a name may be defined more than once.
        """
        best = 0.0
        for frame in self._named.get(candidate.path.rsplit("/", 1)[-1], ()):
            if frame.path.split("/")[-2:] != candidate.path.split("/")[-2:] and "/" in frame.path.lstrip("./"):
                continue
            function = _LAST_NAME.search(frame.function)
            named = function is not None and any(last_name(symbol.name) == function[0] for symbol in candidate.symbols)
            is_there = candidate.start_line <= frame.line <= candidate.end_line
            best = max(best, named + 0.5 * is_there)
        return best
