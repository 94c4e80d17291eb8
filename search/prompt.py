"""Hits become a prompt: a context within a token budget, every line of which can be traced to repository, commit, path and line.

The budget holds for the final string, wrapping included, by whichever counter is used. What does not fit is left out piece by
piece and listed with the reason; a smaller piece behind it may still fit. How the text looks is the business of `formats`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING, Any

from codequarry import text
from codequarry.errors import BadInput
from codequarry.search.formats import FORMATS
from codequarry.search.snippets import with_lines
from codequarry.types import Answer, Block, Hit, Prompt

if TYPE_CHECKING:
    from codequarry.code_search import CodeSearch
    from codequarry.search import Engine

__all__ = ["FORMATS", "PromptBuilder"]

GAP = 3
"""Chunks of one file with at most so many lines between them become one block, with those lines."""

FILES = 20
"""How many files are looked at for a context: what answers is among the first ten for nine of ten questions."""

_LEAST_LINES = 6  # a piece is not cut to fewer lines than this, unless it is the only one
_ABOUT = 0.9  # lines that say so much of what the best ones say are as good
# A line of nothing but a comment. `#` begins one in these languages, in others a preprocessor's line or a heading.
_COMMENT = re.compile(r"\s*(?://|/\*|\*|--|;;|<!--|$)")
_HASH_COMMENT = re.compile(r"\s*(?:#|$)")
_HASH_LANGUAGES = frozenset(
    "bash cmake dockerfile elixir fish julia makefile nim nix perl powershell python r ruby toml yaml".split()
)
# Characters that change how a text is displayed without being seen: bidirectional controls, zero-width and tag characters.
_INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]")


@dataclass(frozen=True, slots=True)
class _Piece:
    """Consecutive lines of a hit's file that may become a block."""

    place: tuple[int, int]  # of the hit in the answer, and of its file among the sides of the hit
    hit: Hit
    start_line: int
    lines: tuple[str, ...]
    matched: tuple[int, ...]  # line numbers
    best: tuple[int, int] | None = None  # the lines of the hit's best chunk, where that is in it

    @property
    def end_line(self) -> int:
        return self.start_line + len(self.lines) - 1

    def cut(self, start: int, end: int) -> _Piece:
        """Its lines `start` to `end`."""
        return replace(self, start_line=start, lines=self.lines[start - self.start_line : end - self.start_line + 1])


class PromptBuilder:
    """Makes prompts from an index.

    >>> with connect("./index") as quarry:  # doctest: +SKIP
    ...     print(PromptBuilder(quarry, budget=8000, format="xml").build("how are retries configured?").text)
    """

    def __init__(
        self,
        source: Engine | CodeSearch,
        budget: int = 4000,
        format: str = "markdown",
        count_tokens: Callable[[str], int] = text.count_tokens,
    ) -> None:
        """`budget`: the most tokens of the text, as `count_tokens` counts them; `format`: markdown, xml or json.

        Raises:
            BadInput: an unknown format, or a budget below 1.
        """
        if format not in FORMATS:
            raise BadInput(f"There is no format {format!r}.", hint=f"The formats are {', '.join(FORMATS)}.")
        if budget < 1:
            raise BadInput(f"The budget is {budget} tokens; it must be 1 or more.")
        self._search = source.search
        engine: Any = getattr(source, "engine", source)
        self._engine: Engine = engine
        self.budget, self.format, self.count = budget, format, count_tokens

    def build(self, question: str, *, files: int = FILES, **options: Any) -> Prompt:
        """The context for a question. `options` are those of `search`: filters, `plain`, `access` and so on.

        Raises:
            QuerySyntax, BadInput: as `search` does.
        """
        return self.of(self._search(question, limit=files, **options))

    def of(self, answer: Answer) -> Prompt:
        """The context made of an answer's hits, the best first; empty, with a note, where nothing fits or there are none."""
        prompt = Prompt(answer.query, "", self.format, 0, self.budget, notes=list(answer.notes))
        asked = answer.query if self.count(answer.query) <= self.budget // 4 else ""
        pieces = self._pieces(answer.hits)
        self._write(self._choose(asked, pieces, prompt), asked, prompt)
        if pieces and not prompt.blocks:
            least = min(self.count(self._written("", [_window(piece, 1, frozenset())])) for piece in pieces)
            tokens = f"{self.budget} token{'s' if self.budget != 1 else ''}"
            prompt.notes.append(f"A budget of {tokens} holds no code with its citation; {least} would hold one line.")
        elif pieces and not asked:
            prompt.notes.append("The question is too long for this budget to be repeated in the context.")
        if any(_INVISIBLE.search(block.text) for block in prompt.blocks):
            prompt.notes.append("Some of the code has invisible or direction-changing characters: read it with care.")
        return prompt

    # ------------------------------------------------------------------------------------------------------------ pieces

    def _pieces(self, hits: Sequence[Hit]) -> list[_Piece]:
        """What could become blocks, the most wanted first: of each hit the piece with its best chunk, then all others.

        The best chunk of a related file follows that of its hit.
        """
        pieces = [
            piece
            for place, hit in enumerate(hits)
            for side, file in enumerate([hit, *hit.related])
            for piece in self._merged((place, side), file)
        ]
        return sorted(pieces, key=lambda piece: piece.best is None)

    def _merged(self, place: tuple[int, int], hit: Hit) -> list[_Piece]:
        """The chunks of a hit in order of lines, neighbours joined."""
        best = (hit.start_line, hit.end_line)
        parts = [_Piece(place, hit, hit.start_line, tuple(hit.text.split("\n")), hit.matched_lines, best)]
        parts += [
            _Piece(place, hit, more.start_line, tuple(more.text.split("\n")), more.matched_lines)
            for more in hit.snippets
        ]
        parts.sort(key=lambda piece: piece.start_line)
        merged = parts[:1]
        for piece in parts[1:]:
            joined = self._joined(merged[-1], piece)
            merged[-1:] = [joined] if joined else [merged[-1], piece]
        return merged

    def _joined(self, above: _Piece, below: _Piece) -> _Piece | None:
        """Two pieces of a file as one, None where too many lines are between them or those lines cannot be had."""
        gap = below.start_line - above.end_line - 1
        between: tuple[str, ...] = ()
        if gap > GAP:
            return None
        if gap > 0:
            whole = self._engine.whole_file(above.hit)
            if whole is None:
                return None
            between = tuple(whole.split("\n")[above.end_line : below.start_line - 1])
        return replace(
            above,
            lines=above.lines + between + below.lines[max(-gap, 0) :],
            matched=tuple(sorted({*above.matched, *below.matched})),
            best=above.best or below.best,
        )

    # ---------------------------------------------------------------------------------------------------------- choosing

    def _choose(self, asked: str, pieces: Sequence[_Piece], prompt: Prompt) -> list[_Piece]:
        """The pieces that fit, whole or cut, the most wanted first; what does not fit is noted in `prompt.dropped`."""
        chosen: list[_Piece] = []
        left = self.budget
        terms = frozenset(text.question_terms(prompt.question))
        for piece in pieces:
            for attempt in _attempts(piece, terms, least=_LEAST_LINES if chosen else 1):
                # Its lines alone are cheaper to count than the whole context with it.
                if self.count("\n".join(attempt.lines)) > left:
                    continue
                tokens = self.count(self._written(asked, [*chosen, attempt]))
                if tokens <= self.budget:
                    chosen.append(attempt)
                    left = self.budget - tokens
                    for start, end in _left_over(piece, attempt):
                        prompt.dropped.append(_dropped(piece, start, end, "cut to fit the budget"))
                    break
            else:
                prompt.dropped.append(_dropped(piece, piece.start_line, piece.end_line, "over the budget"))
        return chosen

    def _write(self, chosen: Sequence[_Piece], asked: str, prompt: Prompt) -> None:
        """Fills in text, tokens and blocks. The text was counted when its last piece was chosen; an empty one may not fit."""
        written = self._written(asked, chosen)
        tokens = self.count(written)
        if tokens <= self.budget:
            prompt.text, prompt.tokens = written, tokens
            prompt.blocks = _blocks(chosen)
            for block in prompt.blocks:
                block.tokens = self.count(block.text)

    def _written(self, asked: str, pieces: Sequence[_Piece]) -> str:
        return FORMATS[self.format](asked, _blocks(pieces))


def _blocks(pieces: Sequence[_Piece]) -> list[Block]:
    """The blocks of these pieces in the order of their hits, labelled."""
    ordered = sorted(pieces, key=lambda piece: (piece.place, piece.start_line))
    return [
        Block(
            label=f"S{number}",
            repo=piece.hit.repo,
            commit=piece.hit.commit,
            branch=piece.hit.branch,
            path=piece.hit.path,
            start_line=piece.start_line,
            end_line=piece.end_line,
            language=piece.hit.language,
            url=with_lines(piece.hit.url, piece.start_line, piece.end_line),
            modified=piece.hit.modified,
            blob=piece.hit.blob,
            text="\n".join(piece.lines),
            tokens=0,
        )
        for number, piece in enumerate(ordered, 1)
    ]


def _attempts(piece: _Piece, terms: frozenset[str], *, least: int) -> Iterator[_Piece]:
    """The piece, then its best chunk, then smaller and smaller parts of that around the lines that matched."""
    yield piece
    if piece.best and piece.best != (piece.start_line, piece.end_line):
        piece = piece.cut(*piece.best)
        yield piece
    elif not piece.best and not piece.matched:
        return  # no part of it says more than another
    size = len(piece.lines)
    while (size := size // 2 if size < 8 else size * 2 // 3) >= least:
        yield _finished(_window(piece, size, terms))


def _finished(part: _Piece) -> _Piece:
    """A part of a piece of code without the comments and empty lines at its end: they are about what was cut off."""
    if part.hit.kind in ("docs", "text"):
        return part
    comment = _HASH_COMMENT if part.hit.language in _HASH_LANGUAGES else _COMMENT
    end = len(part.lines)
    while end and comment.match(part.lines[end - 1]):
        end -= 1
    if not end:  # comments are all there is of it
        return part
    return part.cut(part.start_line, part.start_line + end - 1)


def _window(piece: _Piece, size: int, terms: frozenset[str]) -> _Piece:
    """The `size` consecutive lines of a piece whose matches say most, the first such lines of several that say about as much.

    A line says more with more of the question's terms; one that many lines of the piece have says little, and one that is
    repeated less each time. Lines that match a pattern count alike. A few lines before the first match say what it belongs to.
    """
    said = {
        line - piece.start_line: terms.intersection(text.terms(piece.lines[line - piece.start_line]).split()) or {""}
        for line in piece.matched
        if piece.start_line <= line <= piece.end_line
    }
    often = Counter(term for of_line in said.values() for term in of_line)

    def worth(start: int) -> float:
        inside = Counter(term for line, of_line in said.items() if start <= line < start + size for term in of_line)
        return sum(sqrt(count / often[term]) for term, count in inside.items())

    last = len(piece.lines) - size
    worths = {start: worth(start) for start in sorted({0, *(min(line, last) for line in said)})}
    enough = _ABOUT * max(worths.values())
    start = next(start for start, value in worths.items() if value >= enough)
    if start and (inside := [line for line in said if start <= line < start + size]):
        start = min(max(inside[0] - (size - (inside[-1] - inside[0] + 1)) // 3, 0), last)
    return piece.cut(piece.start_line + start, piece.start_line + start + size - 1)


def _left_over(whole: _Piece, part: _Piece) -> Iterator[tuple[int, int]]:
    """The lines of a piece above and below a part of it."""
    if whole.start_line < part.start_line:
        yield whole.start_line, part.start_line - 1
    if part.end_line < whole.end_line:
        yield part.end_line + 1, whole.end_line


def _dropped(piece: _Piece, start: int, end: int, reason: str) -> dict[str, Any]:
    return {"repo": piece.hit.repo, "path": piece.hit.path, "start_line": start, "end_line": end, "reason": reason}
