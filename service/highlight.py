"""Source text as coloured spans, by Pygments. Only imported for a terminal: Pygments takes longer to import than a search takes."""

from __future__ import annotations

from typing import Any

Span = tuple[str, str]  # a style of `terminal.STYLES` or "", and the text

# From Pygments' token names, the longest that fits decides.
_TOKENS = {
    "Comment": "dim",
    "Comment.Preproc": "magenta",
    "Keyword": "magenta",
    "Keyword.Constant": "cyan",
    "Literal.String": "green",
    "Literal.String.Doc": "dim",
    "Literal.Number": "cyan",
    "Name.Function": "blue",
    "Name.Class": "blue",
    "Name.Decorator": "yellow",
    "Name.Tag": "blue",
    "Generic.Heading": "bold",
    "Generic.Subheading": "bold",
}
# Where our names of languages and Pygments' differ.
_NAMES = {"c-sharp": "csharp", "hcl": "terraform", "": "text"}


def spans(lines: list[str], language: str) -> list[list[Span]]:
    """The spans of each line, in order; their texts joined are the line. Lines must hold no control characters."""
    lexer = _lexer(language)
    if lexer is None:
        return [[("", line)] for line in lines]
    coloured: list[list[Span]] = [[]]
    for token, text in lexer.get_tokens("\n".join(lines)):
        style = _style(str(token).removeprefix("Token."))
        first, *others = text.split("\n")
        if first:
            line = coloured[-1]
            if line and line[-1][0] == style:  # fewer escapes, and what belongs together stays together
                line[-1] = (style, line[-1][1] + first)
            else:
                line.append((style, first))
        coloured += [[(style, piece)] if piece else [] for piece in others]
    # A lexer is code of others; if it lost or added something, what stands in the file goes before colours.
    if ["".join(text for _, text in line) for line in coloured] != lines:
        return [[("", line)] for line in lines]
    return coloured


def _style(token: str) -> str:
    while token:
        if token in _TOKENS:
            return _TOKENS[token]
        token = token.rpartition(".")[0]
    return ""


def _lexer(language: str) -> Any:
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(_NAMES.get(language, language), stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
