"""An answer for the shell: for eyes on a terminal, for grep in a pipe.

In a pipe every hit is a line `RANK REPO PATH:FIRST-LAST …`, then its code, each line with its number and, as grep has it, `:` where
it matches and `-` where it does not; hits are apart by an empty line. Other sides of the hit's file (a header, its declarations)
are named below it, each on a line `related PATH:FIRST-LAST …`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codequarry.service.terminal import beginning, columns, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codequarry.service.terminal import Terminal
    from codequarry.types import Answer, Hit, Snippet

LINES = 12
"""How much of a hit a terminal shows: ten hits then fill a few screens, and the matched lines are among them."""

_MOST_COLUMNS = 2000  # a longer line is not coloured: no one reads on there, and a minified file has lines of megabytes


def render(
    answer: Answer,
    terminal: Terminal,
    *,
    most_lines: int | None = None,
    explain: bool = False,
    all_matches: bool = False,
) -> Iterator[str]:
    """The lines that show the answer. `all_matches`: of each hit the lines that match, and no others."""
    if most_lines is None and terminal.rich:
        most_lines = LINES
    for rank, hit in enumerate(answer.hits, 1):
        if rank > 1:
            yield ""
        lines = matched_lines(hit) if all_matches else {}
        yield title(rank, hit, terminal, matches=len(lines))
        if explain:
            yield from (f"   {terminal.paint(line, 'dim')}" for line in reasons(hit.why))
        if lines:
            yield from _alone(lines, hit.language, terminal)
            continue
        yield from code(hit, hit.language, terminal, most_lines)
        for snippet in hit.snippets:
            if terminal.rich:
                named = f"  {printable(snippet.symbol)}" if snippet.symbol else ""
                yield terminal.paint(f"   also {_lines(snippet)}{named}", "dim")
            else:
                yield "--"
                yield from code(snippet, hit.language, terminal, most_lines)
        for related in hit.related:
            named = f"related {_place(related, terminal)}"
            yield terminal.paint(f"   {named}", "dim") if terminal.rich else named


def title(rank: int, hit: Hit, terminal: Terminal, *, matches: int = 0) -> str:
    """The line above a hit: rank, place, what it defines, and what there is to know about it.

    Above the `matches` lines of a file that match, its place is the file, and how many they are.
    """
    place, named = terminal.name(hit.path), ""
    if not matches:
        place, named = f"{place}:{hit.start_line}-{hit.end_line}", terminal.name(hit.symbol)
    marked = "modified" if hit.modified else ""
    many = f"{matches:,} line{'s' if matches > 1 else ''}" if matches else ""
    facts = [fact for fact in (hit.kind, marked, *hit.marks, many, _more(hit), _also(hit)) if fact]
    line = (
        f"{rank} {terminal.paint(terminal.name(hit.repo), 'dim')} {terminal.paint(place, 'title')}"
        f" {terminal.paint(named, 'bold')}"
    ).rstrip()
    version = f"{hit.commit[:8]}" if hit.commit else ""
    about = ", ".join(fact for fact in (*facts, version) if fact)
    return f"{line} {terminal.paint(f'({about})', 'dim')}" if about else line


def _more(hit: Hit) -> str:
    if hit.more_matches == 1:
        return "1 more place matches"
    return f"{hit.more_matches:,} more places match" if hit.more_matches else ""


def _also(hit: Hit) -> str:
    return f"also in {len(hit.also_in)} more" if hit.also_in else ""


def _place(hit: Hit, terminal: Terminal) -> str:
    place = f"{terminal.name(hit.path)}:{hit.start_line}-{hit.end_line}"
    return f"{place}  {terminal.name(hit.symbol)}" if hit.symbol else place


def _lines(snippet: Hit | Snippet) -> str:
    return f"lines {snippet.start_line}-{snippet.end_line}"


def reasons(why: dict[str, Any], name: str = "") -> Iterator[str]:
    """The explanation as lines `name value`, nested names joined with a point."""
    values = []
    for key, value in why.items():
        inner = f"{name}.{key}" if name else str(key)
        if isinstance(value, dict):
            yield from reasons(value, inner)
        else:
            values.append(f"{inner} {_value(value)}")
    if values:
        yield "  ".join(values)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ",".join(_value(item) for item in value)
    return printable(str(value))


def code(piece: Hit | Snippet, language: str, terminal: Terminal, most_lines: int | None) -> Iterator[str]:
    """The piece's lines with their numbers; at most so many of them, around those that match."""
    lines = piece.text.split("\n")
    matched = set(piece.matched_lines)
    shown = window(piece.start_line, len(lines), sorted(matched), most_lines, piece.symbol_line)
    first = shown.start - piece.start_line
    lines = lines[first : first + len(shown)]
    if not terminal.rich:
        for number, line in zip(shown, lines, strict=True):
            yield f"{number}{':' if number in matched else '-'}{line}"
        return
    yield from numbered(lines, shown.start, language, terminal, matched)
    left = piece.end_line - piece.start_line + 1 - len(shown)
    if left > 0:
        yield terminal.paint(f"   … {left} more line{'s' if left > 1 else ''}", "dim")


def matched_lines(hit: Hit) -> dict[int, str]:
    """The lines of all chunks of a hit that match, by their number."""
    pieces: list[Hit | Snippet] = [hit, *hit.snippets]
    found: dict[int, str] = {}
    for piece in pieces:
        lines = piece.text.split("\n")
        found |= {number: lines[number - piece.start_line] for number in piece.matched_lines}
    return found


def _alone(lines: dict[int, str], language: str, terminal: Terminal) -> Iterator[str]:
    for number, line in sorted(lines.items()):
        if terminal.rich:
            yield from numbered([line], number, language, terminal, {number})
        else:
            yield f"{number}:{line}"


def numbered(
    lines: list[str], start: int, language: str, terminal: Terminal, matched: set[int] | frozenset[int] = frozenset()
) -> Iterator[str]:
    """Lines of code for a terminal: number, a mark where they match, coloured, cut to the width."""
    safe = [printable(line.rstrip().expandtabs(4))[:_MOST_COLUMNS].rstrip() for line in lines]
    gutter = len(str(start + len(lines)))
    if terminal.colors:
        from codequarry.service.highlight import spans

        coloured = spans(safe, language)
    else:
        coloured = [[("", line)] for line in safe]
    for offset, line in enumerate(coloured):
        number = start + offset
        if number in matched:
            head = terminal.paint(f"> {number:>{gutter}}", "mark")
        else:
            head = terminal.paint(f"  {number:>{gutter}}", "dim")
        room = terminal.width - gutter - 4 if terminal.width else None
        yield f"{head}  {_fit(line, room, terminal)}".rstrip()


def _fit(line: list[tuple[str, str]], room: int | None, terminal: Terminal) -> str:
    """The spans as one text, painted; where they need more columns than there is room, their beginning and an ellipsis."""
    if room is not None and sum(columns(text) for _, text in line) > room:
        kept, left = [], max(room - 1, 0)
        for style, text in line:
            if columns(text) > left:
                kept.append((style, beginning(text, left) + "…"))
                break
            kept.append((style, text))
            left -= columns(text)
        line = kept
    return "".join(terminal.paint(text, style) if style else text for style, text in line)


def window(start: int, count: int, matched: list[int], most: int | None, named: int = 0) -> range:
    """The lines to show of `count` lines from `start`: all, or `most` of them.

    They begin with the line `named`, where what the hit is named after is defined, and one before it; if there is none (0), they
    are those that hold the most matches, as early as possible.
    """
    if most is None or most <= 0 or count <= most:
        return range(start, start + count)
    if start <= named < start + count:
        begin = max(start, min(named - (most > 1), start + count - most))
        return range(begin, begin + most)
    best, at = -1, start
    for begin in [start, *matched]:
        begin = min(begin, start + count - most)
        held = sum(1 for line in matched if begin <= line < begin + most)
        if held > best:
            best, at = held, begin
    # One line before the first match, where there is room, to see what it belongs to.
    if at > start and at == matched[0] and at + most - 1 not in matched:
        at -= 1
    return range(at, at + most)
