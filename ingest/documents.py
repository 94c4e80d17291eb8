"""Outlines of what is no program: documents by their headings, configuration by its blocks, and anything else by lines."""

from __future__ import annotations

import re
from collections.abc import Iterable

from codequarry.ingest.outline import Break, Definition, Lines, Outline, blank, breaks_by_lines, definitions_by_keyword

# ------------------------------------------------------------------------------------------------------------- documents

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*\r?$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*\r?$")
_RST_UNDERLINE = re.compile(r"([=\-`:'\"~^_*+#<>.!$%&,;?@])\1{2,}[ \t]*\r?$")
_ADOC = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*?)[ \t]*\r?$")
_ORG = re.compile(r"(\*{1,8})[ \t]+(\S.*?)[ \t]*\r?$")
_MARKED = {"asciidoc": _ADOC, "org": _ORG}
_LATEX = re.compile(r"\s*\\(part|chapter|section|subsection|subsubsection|paragraph)\*?(?:\[[^\]]*\])?\{([^}]*)\}")
_LATEX_DEPTHS = {"part": 1, "chapter": 2, "section": 3, "subsection": 4, "subsubsection": 5, "paragraph": 6}
_MAN = re.compile(r"\.(S[HShs])\s+\"?(.*?)\"?\s*$")
_POD = re.compile(r"=head([1-6])\s+(.*?)\s*$")

_Heading = tuple[int, int, str]  # row, depth from 1, title


def by_headings(lines: Lines, language: str) -> Outline:
    """The outline of a document: a heading is a definition that reaches to the next one of its depth or above."""
    headings, fenced = _headings(lines, language)
    final = len(lines.rows) - 1
    shallowest = min((depth for _, depth, _ in headings), default=1)
    breaks: list[Break] = [(row, min(depth - shallowest, 2), final) for row, depth, _ in headings]
    after_blank = False
    heads = {row for row, _, _ in headings}
    for row, line in enumerate(lines.rows):
        if blank(line):
            after_blank = True
            continue
        if row not in heads and row - 1 not in heads:
            level = 3 + 2 * (row in fenced) + (0 if after_blank else 2)
            breaks.append((row, level, final))
        after_blank = False
    named = [(row, depth, title[:200], "heading") for row, depth, title in headings]
    return Outline(breaks, _spans(named, final))


def _headings(lines: Lines, language: str) -> tuple[list[_Heading], set[int]]:
    """The headings of a document, and the rows within fenced code."""
    if language == "markdown":
        return _markdown_headings(lines.rows)
    if language == "restructuredtext":
        return _underlined_headings(lines.rows), set()
    found: list[_Heading] = []
    for row, line in enumerate(lines.rows):
        if language in _MARKED and (match := _MARKED[language].match(line)):
            found.append((row, len(match[1]), match[2]))
        elif language == "latex" and (match := _LATEX.match(line)):
            found.append((row, _LATEX_DEPTHS[match[1]], match[2]))
        elif language == "man" and (match := _MAN.match(line)) and match[2]:
            found.append((row, 1 if match[1][1] in "Hh" else 2, match[2]))
        elif language == "pod" and (match := _POD.match(line)):
            found.append((row, int(match[1]), match[2]))
    return found, set()


def _markdown_headings(rows: list[str]) -> tuple[list[_Heading], set[int]]:
    found: list[_Heading] = []
    fenced: set[int] = set()
    fence = ""
    start = _front_matter(rows)
    for row in range(start, len(rows)):
        line = rows[row]
        if fence:
            fenced.add(row)
            match = _FENCE.match(line)
            if match and match[1].startswith(fence) and blank(line[match.end() :]):
                fence = ""
        elif match := _FENCE.match(line):
            fence = match[1]
        elif (match := _ATX.match(line)) and match[2]:
            found.append((row, len(match[1]), match[2]))
        elif row > start and (match := _UNDERLINE.match(line)) and _may_be_title(rows[row - 1]):
            found.append((row - 1, 1 if match[1][0] == "=" else 2, rows[row - 1].strip()))
    return found, fenced


def _front_matter(rows: list[str]) -> int:
    """The row after a document's metadata between two `---` lines, 0 when there is none."""
    if rows[0].rstrip() == "---":
        for row in range(1, min(len(rows), 200)):
            if rows[row].rstrip() in ("---", "..."):
                return row + 1
    return 0


def _may_be_title(line: str) -> bool:
    bare = line.strip()
    return bool(bare) and not line.startswith(("    ", "\t")) and bare[0] not in "|>-+*=#<" and len(bare) < 200


def _underlined_headings(rows: list[str]) -> list[_Heading]:
    """Titles with a line of punctuation below, or above and below; depths in the order in which the styles are met."""
    found: list[_Heading] = []
    styles: list[tuple[str, bool]] = []
    for row in range(1, len(rows)):
        match = _RST_UNDERLINE.match(rows[row])
        title = rows[row - 1].strip()
        if not match or not title or _RST_UNDERLINE.match(rows[row - 1]) or len(rows[row].rstrip()) + 1 < len(title):
            continue
        over = row > 1 and rows[row - 2].rstrip() == rows[row].rstrip()
        if (not over and rows[row - 1][:1].isspace()) or not (over or row == 1 or blank(rows[row - 2])):
            continue
        style = (match[1], over)
        if style not in styles:
            styles.append(style)
        found.append((row - 2 if over else row - 1, styles.index(style) + 1, title))
    return found


# --------------------------------------------------------------------------------------------------------- configuration

_YAML_KEY = re.compile(r"( *)(?:\"([^\"]+)\"|'([^']+)'|([^\s#'\"{}\[\],&*!|>%@`-][^#]*?|-[^\s#][^#]*?)) *:(?=\s|$)")
_JSON_KEY = re.compile(r"([ \t]*)\"((?:[^\"\\]|\\.)+)\"[ \t]*:")
_SECTION = re.compile(r"[ \t]*\[+[ \t]*([^\]\r\n]+?)[ \t]*\]+")
_EQUALS_KEY = re.compile(r"(?:export[ \t]+)?([A-Za-z_][\w.\-/]*)[ \t]*[=:]")
_FLAT = {
    "dockerfile": ("stage", re.compile(r"FROM\s.*?\sAS\s+(\S+)", re.IGNORECASE)),
    "makefile": ("target", re.compile(r"([A-Za-z0-9_./%$(){}-]+(?:[ ][A-Za-z0-9_./%$(){}-]+)*)\s*::?(?![=:])")),
    "just": ("target", re.compile(r"@?([A-Za-z_][\w-]*)(?:\s+[^:=]*)?:(?!=)")),
    "cmake": ("target", re.compile(r"\s*(?:add_(?:library|executable|custom_target|test)|function|macro)\s*"
                                   r"\(\s*(?:NAME\s+)?(\S+?)[\s)]", re.IGNORECASE)),
    "gomod": ("module", re.compile(r"module\s+(\S+)")),
}  # fmt: skip


def by_blocks(lines: Lines, language: str) -> Outline:
    """The outline of a configuration file: its top keys or sections are definitions, breaks go by indentation."""
    final = len(lines.rows) - 1
    breaks = breaks_by_lines(lines, 0, final, 0)
    if language == "yaml":
        found = _nested_keys(lines.rows, _YAML_KEY)
    elif language == "json":
        found = _nested_keys(lines.rows, _JSON_KEY)
    elif language in ("toml", "ini", "editorconfig"):
        found = _sections(lines.rows)
    elif language in ("properties", "dotenv"):
        found = [(row, 0, match[1]) for row, line in enumerate(lines.rows) if (match := _EQUALS_KEY.match(line))]
    elif language in _FLAT:
        _, pattern = _FLAT[language]
        found = [(row, 0, match[1]) for row, line in enumerate(lines.rows) if (match := pattern.match(line))]
        found = [one for one in found if not one[2].startswith(".")]
    else:
        found = []
    kind = _FLAT[language][0] if language in _FLAT else "key"
    best = {row: depth for row, depth, _ in found}
    breaks = [(row, min(level, best.get(row, level)), until) for row, level, until in breaks]
    # Those below the top are parts of breadcrumbs, not symbols.
    named = [(row, depth, name[:120], "" if depth else kind) for row, depth, name in found]
    return Outline(breaks, _spans(named, final))


def _spans(found: Iterable[tuple[int, int, str, str]], final: int) -> list[Definition]:
    """Definitions of `(row, depth, name, kind)`: each reaches to the next one of its depth or above."""
    definitions: list[Definition] = []
    open_at: list[tuple[int, int]] = []  # depth and index of the definitions around
    for row, depth, name, kind in found:
        while open_at and open_at[-1][0] >= depth:
            _, index = open_at.pop()
            definitions[index] = definitions[index]._replace(last=row - 1)
        scope = open_at[-1][1] if open_at else -1
        open_at.append((depth, len(definitions)))
        definitions.append(Definition(name, kind, row, row, final, scope))
    return definitions


def _nested_keys(rows: list[str], pattern: re.Pattern[str]) -> list[_Heading]:
    """Keys of the two outermost levels, by their indentation."""
    keys = [
        (row, len(match[1].expandtabs(4)), next(part for part in match.groups()[1:] if part))
        for row, line in enumerate(rows)
        if (match := pattern.match(line))
    ]
    outer = min((indent for _, indent, _ in keys), default=0)
    inner = min((indent for _, indent, _ in keys if indent > outer), default=-1)
    return [(row, int(indent == inner), name) for row, indent, name in keys if indent in (outer, inner)]


def _sections(rows: list[str]) -> list[_Heading]:
    """Sections, and the keys before the first one."""
    found: list[_Heading] = []
    within = False
    for row, line in enumerate(rows):
        if line.startswith("[") and (match := _SECTION.match(line)):
            within = True
            found.append((row, 0, match[1]))
        elif not within and (match := _EQUALS_KEY.match(line)):
            found.append((row, 0, match[1]))
    return found


# ------------------------------------------------------------------------------------------------------------- the rest


def by_lines(lines: Lines, kind: str) -> Outline:
    """The outline of a text of which nothing is known: breaks by empty lines and indentation, names by keywords in code."""
    final = len(lines.rows) - 1
    definitions = definitions_by_keyword(lines, 0, final) if kind == "code" else []
    starts = {definition.first for definition in definitions}
    breaks = breaks_by_lines(lines, 0, final, 0)
    breaks = [(row, level - 1 if level and row in starts else level, until) for row, level, until in breaks]
    return Outline(breaks, definitions)
