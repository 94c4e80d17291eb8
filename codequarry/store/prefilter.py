r"""From a pattern to what must occur: which words a chunk has to have so that the pattern can match in it.

`requirement` turns a regular expression into a tree of `Every`, `Some` and `Phrase`; a store looks the words up in its index
of `raw` words and runs the pattern itself (`LinePattern`) only over the chunks that are left. The tree never excludes a chunk
that the pattern matches. It may let any number of others pass; None means that nothing is known.

    rate_limit\(ctx, \d+    ->  Phrase(ends with "rate_limit", is "ctx", matches [0-9]+…)
    foo(bar|baz)            ->  Phrase(has "foo(?:bar|baz)")
    open.*close|shut        ->  Some(Every(has "open", has "close"), has "shut")

A pattern is read with Python's own parser where the two dialects agree; where they do not, or the parser refuses, nothing is
known. Words are those of `codequarry.text`: ASCII letters, digits, `_`, and everything beyond ASCII. re2's `\b` counts the
latter as no word signs, so a word next to `\b` may go on with signs beyond ASCII.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum
from re import _constants as op  # type: ignore[attr-defined]  # Python has no other way to its parser of patterns
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

import re2

from codequarry.errors import BadInput
from codequarry.types import Pattern

# ------------------------------------------------------------------------------------------------------------------- tree


class Edge(IntEnum):
    """What a word may have beside the part that is known."""

    CLOSED = 0  # nothing
    ASCII = 1  # nothing, or a sign beyond ASCII and then anything: re2's \\b stood there
    OPEN = 2  # anything


@dataclass(frozen=True, slots=True)
class Piece:
    """What is known of one word. `regex` (re2's syntax) matches the whole of every word that will do.

    `text` is the known part when it is one literal text, then `regex` says no more than `text`, `left`, `right` and
    `ignore_case`; else None. Ignoring case is re2's: `k` is also U+212A, `s` also U+017F.
    """

    text: str | None
    core: str  # the regex of the known part
    left: Edge
    right: Edge
    ignore_case: bool

    @property
    def exact(self) -> bool:
        """Whether only the word `text` will do."""
        return self.text is not None and not self.left and not self.right and not self.ignore_case

    @property
    def regex(self) -> str:
        """Matches the whole word."""
        return f"{_LEFT[self.left]}{self.core}{_RIGHT[self.right]}"


_LEFT = {Edge.CLOSED: "", Edge.ASCII: r"(?:[^\n]*[^\x00-\x7f])?", Edge.OPEN: r"[^\n]*"}
_RIGHT = {Edge.CLOSED: "", Edge.ASCII: r"(?:[^\x00-\x7f][^\n]*)?", Edge.OPEN: r"[^\n]*"}


@dataclass(frozen=True, slots=True)
class Phrase:
    """These words must stand one after another, with nothing but signs that are no words between them."""

    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Every:
    """All of these must hold."""

    parts: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One of these must hold."""

    parts: tuple[Requirement, ...]


Requirement = Phrase | Every | Some


def requirement(regex: str) -> Requirement | None:
    """What a chunk must have so that the pattern (re2's syntax) can match one of its lines; None when nothing is known."""
    tree = _parse(regex)
    if tree is None:
        return None
    try:
        tokens = _tokens(tree, bool(tree.state.flags & re.IGNORECASE))
    except RecursionError:
        return None
    return _required(tokens)


_POSIX_CLASS = re.compile(r"\[:.*:\]", re.DOTALL)  # wider than re2's: `[:=(]` is none


def _parse(regex: str) -> Any:
    # [[:alpha:]] is a class in re2 and a set of signs in Python; the parser warns of most such things, which is taken as "no".
    if _POSIX_CLASS.search(regex) or "(?x" in regex:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return parser.parse(regex)
    except (re.error, RecursionError, OverflowError, Warning):
        return None


# ----------------------------------------------------------------------------------------------------------------- tokens


class _Kind(IntEnum):
    CHAR = 0  # one sign of a word, known
    WORD = 1  # one or more signs of a word
    MAYBE_WORD = 2  # none or more signs of a word
    GAP = 3  # one or more signs that are no word's, or an end of the line
    MAYBE_GAP = 4
    BOUNDARY = 5  # re2's \b
    ANYTHING = 6


class _Token(NamedTuple):
    kind: _Kind
    source: str = ""  # regex of CHAR, WORD, MAYBE_WORD
    char: str = ""
    ignore_case: bool = False
    required: Requirement | None = None  # of ANYTHING: what it must contain


_ANYTHING = _Token(_Kind.ANYTHING)
_WORDS = frozenset((_Kind.CHAR, _Kind.WORD, _Kind.MAYBE_WORD))
_GAPS = frozenset((_Kind.GAP, _Kind.MAYBE_GAP))
_INLINE_LIMIT = 200  # tokens of a group that are taken into the sequence around it


def _tokens(items: Iterable[Any], ignore_case: bool) -> list[_Token]:
    """The sequence as tokens, groups dissolved where what they say can be kept."""
    found: list[_Token] = []
    for code, value in items:
        if code is op.LITERAL:
            found.append(_literal(value, ignore_case))
        elif code is op.IN:
            found.append(_class(value, ignore_case))
        elif code is op.SUBPATTERN:
            _, add, remove, body = value
            found.extend(_tokens(body, (ignore_case or bool(add & re.IGNORECASE)) and not remove & re.IGNORECASE))
        elif code is op.MAX_REPEAT or code is op.MIN_REPEAT:
            low, high, body = value
            found.extend(_repeat(low, high, body, ignore_case))
        elif code is op.BRANCH:
            found.append(_branch([_tokens(branch, ignore_case) for branch in value[1]]))
        elif code is op.AT:
            if value is op.AT_BOUNDARY:
                found.append(_Token(_Kind.BOUNDARY))
            elif value is not op.AT_NON_BOUNDARY:
                found.append(_Token(_Kind.GAP))
        else:  # any sign, all signs but one, and what re2 does not have
            found.append(_ANYTHING)
    return found


def _literal(code: int, ignore_case: bool) -> _Token:
    char = chr(code)
    if not _is_word(code):
        # Signs that Unicode calls space may or may not end a word, depending on the store's tokenizer.
        return _ANYTHING if code >= 128 else _Token(_Kind.GAP)
    source = re2.escape(char)
    if ignore_case:
        return _Token(_Kind.CHAR, f"(?i:{source})", char, True)
    return _Token(_Kind.CHAR, source, char)


def _is_word(code: int) -> bool:
    char = chr(code)
    return (char == "_" or char.isalnum()) if code < 128 else not char.isspace()


_CATEGORIES = {op.CATEGORY_DIGIT: "[0-9]", op.CATEGORY_WORD: "[0-9A-Za-z_]"}


def _class(items: list[Any], ignore_case: bool) -> _Token:
    """A class of signs: part of a word when all of them are, a gap when none is."""
    sources: list[str] = []
    gaps = 0
    for code, value in items:
        if code is op.LITERAL:
            inside = [value]
        elif code is op.RANGE:
            low, high = value
            if high >= 128 and low < 128:
                return _ANYTHING
            if high >= 128 and any(map(str.isspace, map(chr, range(low, min(high, 0x3001) + 1)))):
                return _ANYTHING
            inside = list(range(low, high + 1)) if high < 128 else [low, high]
        elif code is op.CATEGORY and value in _CATEGORIES:
            sources.append(_CATEGORIES[value])
            continue
        elif code is op.CATEGORY and value is op.CATEGORY_SPACE:
            gaps += 1
            continue
        else:  # negated: what is left has both kinds
            return _ANYTHING
        words = [_is_word(one) for one in inside]
        if all(words):
            sources.append(f"[{_code(inside[0])}-{_code(inside[-1])}]")
        elif any(words) or any(one >= 128 for one in inside):
            return _ANYTHING
        else:
            gaps += 1
    if sources and gaps:
        return _ANYTHING
    if gaps:
        return _Token(_Kind.GAP)
    source = sources[0] if len(sources) == 1 else f"(?:{'|'.join(sources)})"
    return _Token(_Kind.WORD, f"(?i:{source})" if ignore_case else source)


def _code(code: int) -> str:
    return f"\\x{{{code:x}}}"


def _repeat(low: int, high: Any, body: Any, ignore_case: bool) -> list[_Token]:
    tokens = _tokens(body, ignore_case)
    once = int(high) == 1 if high is not op.MAXREPEAT else False
    if low == 1 and once:
        return tokens
    if not tokens or high == 0:
        return []
    kinds = {token.kind for token in tokens}
    if kinds <= _WORDS:
        source = "".join(token.source for token in tokens)
        count = f"{{{low},{'' if high is op.MAXREPEAT else int(high)}}}"
        empty = low == 0 or kinds == {_Kind.MAYBE_WORD}
        return [_Token(_Kind.MAYBE_WORD if empty else _Kind.WORD, f"(?:{source}){count}")]
    if kinds <= _GAPS:
        return [_Token(_Kind.GAP if low and _Kind.GAP in kinds else _Kind.MAYBE_GAP)]
    if low == 0:
        return [_ANYTHING]
    return [*tokens, _ANYTHING] if len(tokens) <= _INLINE_LIMIT else [_ANYTHING]


def _branch(branches: list[list[_Token]]) -> _Token:
    kinds = {token.kind for branch in branches for token in branch}
    empty = any(all(token.kind in (_Kind.MAYBE_WORD, _Kind.MAYBE_GAP) for token in branch) for branch in branches)
    if kinds <= _WORDS:
        source = "|".join("".join(token.source for token in branch) for branch in branches)
        return _Token(_Kind.MAYBE_WORD if empty else _Kind.WORD, f"(?:{source})")
    if kinds <= _GAPS:
        certain = not empty and all(any(token.kind is _Kind.GAP for token in branch) for branch in branches)
        return _Token(_Kind.GAP if certain else _Kind.MAYBE_GAP)
    parts = [_required(branch) for branch in branches]
    known = [part for part in parts if part is not None]
    return _Token(_Kind.ANYTHING, required=Some(tuple(known)) if len(known) == len(parts) else None)


# -------------------------------------------------------------------------------------------------- tokens to requirements


def _required(tokens: list[_Token]) -> Requirement | None:
    """What a sequence of tokens needs: a phrase for each stretch whose words stand in known order, and what groups need."""
    parts: list[Requirement] = []
    start = 0
    for at in range(len(tokens) + 1):
        if at < len(tokens) and tokens[at].kind is not _Kind.ANYTHING:
            continue
        parts.extend(_phrases(tokens[start:at]))
        if at < len(tokens) and (required := tokens[at].required) is not None:
            parts.append(required)
        start = at + 1
    parts = list(dict.fromkeys(parts))
    if len(parts) > 1:
        return Every(tuple(parts))
    return parts[0] if parts else None


def _phrases(tokens: list[_Token]) -> list[Phrase]:
    """The words of a stretch without unknown signs, and which of them are neighbours."""
    phrases: list[Phrase] = []
    pieces: list[Piece] = []
    word: list[_Token] = []
    left = Edge.OPEN

    def close(right: Edge) -> None:
        nonlocal word
        if word and (piece := _piece(word, left, right)) is not None:
            pieces.append(piece)
        elif word:
            cut()
        word = []

    def cut() -> None:
        nonlocal pieces
        if pieces:
            phrases.append(Phrase(tuple(pieces)))
        pieces = []

    at = 0
    while at < len(tokens):
        if tokens[at].kind in _WORDS:
            word.append(tokens[at])
            at += 1
            continue
        end = at
        while end < len(tokens) and tokens[end].kind not in _WORDS:
            end += 1
        between = {token.kind for token in tokens[at:end]}
        if _Kind.GAP in between:
            # `foo\b(`, `foo\s*(` and `foo(`: the word ends there whatever else may stand in the gap.
            close(Edge.CLOSED)
            left = Edge.CLOSED
        elif _Kind.BOUNDARY in between:
            # An optional gap beside \b changes nothing: empty, the word ends at \b; not empty, it ends at the gap.
            close(Edge.OPEN if _beyond_ascii(word) else Edge.ASCII)
            cut()
            left = Edge.OPEN if _next_is_beyond_ascii(tokens, end) else Edge.ASCII
        else:
            close(Edge.OPEN)
            cut()
            left = Edge.OPEN
        at = end
    close(Edge.OPEN)
    cut()
    return phrases


def _beyond_ascii(word: list[_Token]) -> bool:
    """Whether the word may end beyond ASCII: then re2 sees a boundary beside a word sign, and the word may go on."""
    return bool(word) and not all(_ascii_only(token) for token in word)


def _next_is_beyond_ascii(tokens: list[_Token], start: int) -> bool:
    end = start
    while end < len(tokens) and tokens[end].kind in _WORDS:
        end += 1
    return not all(_ascii_only(token) for token in tokens[start:end])


def _ascii_only(token: _Token) -> bool:
    if "(?i:" in token.source:  # k and s have forms beyond ASCII
        return False
    return token.source.isascii() and not re.search(r"\\x\{[0-9a-f]{3,}|\\x\{[89a-f][0-9a-f]\}", token.source)


def _piece(word: list[_Token], left: Edge, right: Edge) -> Piece | None:
    """What is known of a word; None when it may be missing altogether."""
    if all(token.kind is _Kind.MAYBE_WORD for token in word):
        return None
    core = "".join(token.source for token in word)
    if all(token.kind is _Kind.CHAR for token in word):
        cases = {token.ignore_case for token in word if token.char.lower() != token.char.upper()}
        if len(cases) < 2:
            text = "".join(token.char for token in word)
            ignore_case = True in cases
            core = f"(?i:{re2.escape(text)})" if ignore_case else re2.escape(text)
            return Piece(text, core, left, right, ignore_case)
    return Piece(None, core, left, right, False)


# ------------------------------------------------------------------------------------------------------------ the decision

# Signs of patterns in which a line by itself and a line within a text could differ: \A, \z, \C, and a switched off (?m).
_LINE_BY_LINE = re.compile(r"\\[AzC]|\(\?[a-zA-Z]*-[a-zA-Z]*m")


@functools.cache
def _options(fold: bool) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.never_nl = True  # no part of a pattern matches a line's end, not even [^x]
    options.case_sensitive = not fold
    options.max_mem = 64 << 20
    return options


class LinePattern:
    """A pattern that decides: whether it matches within one of a text's lines, as if each line stood alone.

    Lines end with LF or CR LF, which are no part of them. Texts are UTF-8 bytes.
    """

    def __init__(self, pattern: Pattern) -> None:
        self.pattern = pattern
        self._whole = not _LINE_BY_LINE.search(pattern.regex)
        regex = f"(?m){pattern.regex}" if self._whole else pattern.regex
        try:
            compiled = re2.compile(regex.encode(), _options(False))
        except (re2.error, UnicodeEncodeError) as error:
            says = error.args[0] if error.args else "not valid"
            reason = says.decode("utf-8", "replace") if isinstance(says, bytes) else str(says)
            raise BadInput(
                f"the pattern /{pattern.regex}/ cannot be read: {reason}",
                hint="patterns are written in re2's syntax: no look-around, no back-references",
            ) from error
        self._search: Callable[[bytes], Any] = compiled.search

    @property
    def requirement(self) -> Requirement | None:
        """What a chunk must have so that the pattern can match."""
        return requirement(self.pattern.regex)

    def matches(self, text: bytes) -> bool:
        """Whether a line of the text has a match."""
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        if self._whole:
            return self._search(text) is not None
        return any(self._search(line) is not None for line in text.split(b"\n"))

    def lines(self, text: bytes) -> list[int]:
        """The lines (0-based) that have a match."""
        return [number for number, line in enumerate(text.split(b"\n")) if self._search(line.removesuffix(b"\r"))]
