"""What a piece of prose, code or log mentions: links to code, paths, identifiers, error messages.

All patterns are linear: none repeats a group that repeats, and runs are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

LINK = re.compile(r"https?://[^\s<>\"'`\])}|]{1,1000}")

# How forges write the page of a file: /org/repo/blob/REF/path (GitHub, Gitea), /-/blob/REF/path (GitLab), /src/REF/path
# (Bitbucket, and Gitea with a word for the kind of REF), and the hosts that serve files raw.
_FILE_PAGE = re.compile(
    r"https?://[^/]+/(?P<repo>[^?#]{1,200}?)/(?:-/)?(?:blob|blame|raw|edit|tree|src)/"
    r"(?:branch/|commit/|tag/)?(?P<ref>[^/?#]+)/(?P<path>[^?#]+)"
)
_RAW_HOST = re.compile(r"https?://raw\.[^/]+/(?P<repo>[^/]+/[^/]+)/(?P<ref>[^/]+)/(?P<path>[^?#]+)")
_LINE = re.compile(r"#(?:L|lines-)(\d{1,7})")

_ENDINGS = (
    "py pyi pyx go rs c h cc cpp cxx hh hpp hxx inl ipp m mm java kt kts scala groovy clj cljs js jsx mjs cjs ts tsx mts "
    "cts vue svelte rb php cs fs swift dart lua pl pm r jl hs ml mli ex exs erl zig nim sh bash zsh fish ps1 sql proto "
    "thrift graphql html css scss less json toml yaml yml xml cfg ini md rst txt cmake gradle tf bats el vim".split()
)
_PATH = re.compile(
    r"(?<![\w@:.-])(?:[A-Za-z]:)?[~.]{0,2}(?:[\\/]?[\w@+.-]{1,100}[\\/]){0,20}[\w@+-][\w@+.-]{0,100}"
    rf"\.(?:{'|'.join(_ENDINGS)})(?![\w/-])"
)
_FOLDERED = re.compile(r"(?<![\w@:./-])[\w@+.-]{1,60}(?:/[\w@+.-]{1,60}){1,12}/?(?![\w/])")

_DOTTED = re.compile(r"(?<![\w./@-])[A-Za-z_]\w{0,80}(?:(?:\.|::|#|->)~?[A-Za-z_]\w{0,80}){1,8}(?![\w/@])")
_JOINT = re.compile(r"::|\.|#|->")
_QUOTED = re.compile(r"`{1,2}([^`\n]{1,200})`{1,2}")
_CALL = re.compile(r"\b([A-Za-z_]\w{2,80})!?\(")
_WORD = re.compile(r"[A-Za-z_]\w{2,80}")
# A word that nobody writes in prose: a capital after a small letter, an underscore inside, digits between letters.
_SHAPED = re.compile(r"[a-z]\w*[A-Z]|\w_\w|[A-Z]{2,}[a-z]|[A-Za-z]\d+[A-Za-z]|^[A-Z][A-Z0-9]{2,}_")

_TYPED_ERROR = re.compile(
    r"(?:^|[\s:(>])(?:[\w.]{0,80}\.)?[A-Z]\w{0,60}"
    r"(?:Error|Exception|Warning|Failure|Fault|Panic|Interrupt)(?: \[\w+\])?: ?(.{0,300})"
)
_PLAIN_ERROR = re.compile(
    r"(?:^|\s)(?:fatal error|error|fatal|panic|exception|assertion failed|warning|abort)"
    r"(?:\[\w{1,12}\]| [A-Z]{1,3}\d{1,5})?: ?(.{4,300})",
    re.I,
)
_PANIC = re.compile(r"panicked at '([^']{4,300})'")


def is_shaped(word: str) -> bool:
    """Whether a word is a name by its shape."""
    return _SHAPED.search(word) is not None


class Link(NamedTuple):
    """A file on a forge. `repo` is organisation and name, as the address has them; `line` is 0 where it names none."""

    repo: str
    path: str
    line: int


def links(text: str) -> Iterator[Link]:
    """The pages of files among the links of a text.

    >>> list(links("see https://github.com/org/api/blob/main/src/retry.py#L7"))
    [Link(repo='org/api', path='src/retry.py', line=7)]
    """
    for found in LINK.finditer(text):
        address = found.group()
        if page := _RAW_HOST.match(address) or _FILE_PAGE.match(address):
            line = _LINE.search(address)
            yield Link(page["repo"], page["path"].rstrip(".,;:/"), int(line[1]) if line else 0)


def paths(text: str) -> Iterator[str]:
    """Paths and names of files, with `/` between segments, as written; also folders of two segments and more."""
    for found in _PATH.finditer(text):
        yield found.group().replace("\\", "/")
    for found in _FOLDERED.finditer(text):
        if "." not in found.group().rsplit("/", 1)[-1]:
            yield found.group()


def quoted(text: str) -> Iterator[str]:
    """What stands between backticks within a line."""
    for found in _QUOTED.finditer(text):
        yield found[1].strip()


def identifiers(text: str) -> Iterator[str]:
    """Words that are names by their shape (`maxRetries`, `max_retries`), or because they are called (`retry(`)."""
    for found in _WORD.finditer(text):
        if is_shaped(found.group()):
            yield found.group()
    for found in _CALL.finditer(text):
        yield found[1]


def dotted(text: str) -> Iterator[tuple[str, ...]]:
    """Names written with what they belong to, as their segments: `http.Client.Do`, `std::string`.

    >>> list(dotted("Config.from_file reads it, see e.g. io.py"))
    [('Config', 'from_file'), ('io', 'py')]
    """
    for found in _DOTTED.finditer(text):
        segments = tuple(_JOINT.split(found.group()))
        if len(segments[-1]) > 1 or len(segments[0]) > 1:
            yield tuple(segment.lstrip("~") for segment in segments)


def errors(text: str) -> Iterator[str]:
    """The message of each line that reports an error, without the kind of the error.

    >>> list(errors("ValueError: no such retry policy"))
    ['no such retry policy']
    """
    for line in text.split("\n"):
        line = line[:400]
        if ":" not in line and "panicked" not in line:
            continue
        if found := _TYPED_ERROR.search(line) or _PANIC.search(line) or _PLAIN_ERROR.search(line):
            yield found[1].strip()
