"""The query language: text to `Query`, and back. `docs/query.md` is its specification.

A query is a row of items: words, `"exact phrases"`, `/regular expressions/` and filters (`lang:go`), each of which `-` negates.
Reading is lenient where people write prose and paste code: only the six names of `FILTERS` followed by one colon are filters, a
slash inside a path is no regular expression, and a text that is long or has a line break is not read at all but taken as it is.
What is left (a quotation mark that is never closed, a regular expression that re2 refuses) is an error that points at the place.

`parse(str(query))` gives the query again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import NamedTuple

from codequarry.errors import BadInput, QuerySyntax
from codequarry.text import glob_regex
from codequarry.types import Pattern

FILTERS = ("repo", "lang", "path", "branch", "symbol", "kind")
"""The filters, by the name that stands before the colon."""

MAX_BYTES = 64 * 1024
"""A longer query is refused: it is a file, not a question."""

MAX_WORDS = 40
"""A text of more words is somebody's prose or an issue, in which a colon or a quotation mark means nothing to us."""

PLAIN_HINT = "To search for the text as it stands, ask for plain text (--plain)."
_FILTER = re.compile(rf"({'|'.join(FILTERS)}):(?!:)")
_NAMED = re.compile(r"-?([A-Za-z]{3,12}):(?!:)")
_REGEX_SIGNS = re.compile(r"[][(){}|\\^$]|[.\w)][*+?]")
# Names that other search engines have for our filters.
_MEANT = {"language": "lang", "repository": "repo", "sym": "symbol", "file": "path"}


class Item(NamedTuple):
    """One part of a query. `field`: word, phrase, regex, a name of FILTERS, or text (a whole query that was not parsed)."""

    field: str
    value: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A query as understood. Two queries are equal when they ask the same; `str()` writes it in the query language."""

    items: tuple[Item, ...]
    plain: bool = False  # taken as it stands, not parsed
    notes: tuple[str, ...] = dataclass_field(default=(), compare=False)

    def values(self, field: str, *, negated: bool = False) -> tuple[str, ...]:
        """What the query says for one field, each once, in order."""
        return tuple(
            dict.fromkeys(item.value for item in self.items if item.field == field and item.negated == negated)
        )

    @property
    def question(self) -> str:
        """Its words and phrases (or its whole text) as prose: what is scored, as against what is filtered."""
        asked = [item.value for item in self.items if item.field in ("word", "phrase", "text") and not item.negated]
        return " ".join(asked)

    @property
    def words(self) -> tuple[str, ...]:
        """Its words in order, split at white space where it was not parsed."""
        if self.plain:
            return tuple(self.question.split())
        return tuple(item.value for item in self.items if item.field == "word" and not item.negated)

    @property
    def is_long(self) -> bool:
        """Whether it is a text that was not parsed because of its form: somebody's issue, log or code."""
        return self.plain and bool(_not_syntax(self.question.strip()))

    def patterns(self, *, negated: bool = False) -> tuple[Pattern, ...]:
        """Its phrases and regular expressions as a store wants them."""
        phrases = [Pattern(re.escape(value), value) for value in self.values("phrase", negated=negated)]
        return (*phrases, *(Pattern(value) for value in self.values("regex", negated=negated)))

    def __str__(self) -> str:
        written = ""
        for item in reversed(self.items):
            text = _write(item, written)
            written = f"{text} {written}" if written else text
        return written


def parse(text: str, *, plain: bool = False, syntax: bool = False) -> Query:
    """The query that a text means. `plain` takes the text as it stands, `syntax` reads it however long it is.

    >>> parse('retry "backoff" lang:go -path:vendor').items
    (Item(field='word', value='retry', negated=False), Item(field='phrase', value='backoff', negated=False), \
Item(field='lang', value='go', negated=False), Item(field='path', value='vendor', negated=True))

    Raises:
        QuerySyntax: nothing in it, too long, or written wrongly; with the place and what to do.
        BadInput: both `plain` and `syntax`.
    """
    if plain and syntax:
        raise BadInput(
            "A query is either plain text or read as query language.", hint="Give one of --plain and --syntax."
        )
    _check_size(text)
    body = text.strip()
    if not body:
        raise QuerySyntax(
            "The query is empty.", query=text, position=0, hint="Write some words, or a filter such as path:*.py."
        )
    if plain:
        return Query((Item("text", body),), plain=True)
    if not syntax and (reason := _not_syntax(body)):
        notes = [f"Taken as plain text: it has {reason}. --syntax reads filters in it."] if _looks_meant(body) else []
        return Query((Item("text", body),), plain=True, notes=tuple(notes))
    return _Reader(text).read()


def _check_size(text: str) -> None:
    size = len(text.encode("utf-8", "surrogatepass")) if len(text) > MAX_BYTES // 4 else 0
    if size > MAX_BYTES:
        kept = text.encode("utf-8", "surrogatepass")[:MAX_BYTES].decode("utf-8", "ignore")
        raise QuerySyntax(
            f"The query has {size:,} bytes; {MAX_BYTES:,} is the most.",
            query=text,
            position=len(kept),
            hint="Ask with the part of it that names the problem.",
        )


def _not_syntax(body: str) -> str:
    """Why a text is not read as query language, empty when it is."""
    if "\n" in body or "\r" in body:
        return "a line break"
    return f"more than {MAX_WORDS} words" if len(body.split()) > MAX_WORDS else ""


def _looks_meant(body: str) -> bool:
    return any(_FILTER.match(word.removeprefix("-")) and not word.endswith(":") for word in body.split())


class _Reader:
    """Reads one text from left to right; `at` is the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.notes: list[str] = []

    def read(self) -> Query:
        items: list[Item] = []
        while self._skip_space():
            items.append(self._item())
        return Query(tuple(items), notes=tuple(dict.fromkeys(self.notes)))

    def _skip_space(self) -> bool:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1
        return self.at < len(self.text)

    def _item(self) -> Item:
        text, at = self.text, self.at
        negated = text[at] == "-" and _can_negate(text, at + 1)
        at += negated
        if text[at] == '"':
            return Item("phrase", self._phrase(at, "phrase"), negated)
        if text[at] == "/" and (end := _regex_end(text, at)):
            return Item("regex", self._regex(at, end), negated)
        if found := _FILTER.match(text, at):
            return Item(found[1], self._value(found[1], found.end()), negated)
        return Item("word", self._word(at, negated), negated)

    def _word(self, at: int, negated: bool) -> str:
        end = at
        while end < len(self.text) and not self.text[end].isspace():
            end += 1
        self.at = end
        word = self.text[at:end]
        if word[0] == "\\" and not negated and _is_special(word, 1):
            return word[1:]
        if found := _NAMED.match(word):
            meant = _MEANT.get(found[1].lower()) or next((name for name in FILTERS if _one_edit(found[1], name)), "")
            if meant and found.end() < len(word):
                self.notes.append(f"{found[1]}: is no filter and was taken as text; did you mean {meant}:?")
        if word[0] == "/" and len(word) > 1 and _REGEX_SIGNS.search(word):
            self.notes.append(
                f"{word} was taken as text: a regular expression stands between two slashes, with \\/ for a slash in it."
            )
        return word

    def _phrase(self, at: int, what: str) -> str:
        """The text in quotation marks that begin at `at`."""
        out, here = [], at + 1
        while here < len(self.text) and self.text[here] != '"':
            if self.text[here] == "\\" and self.text[here + 1 : here + 2] in ('"', "\\"):
                here += 1
            out.append(self.text[here])
            here += 1
        if here >= len(self.text):
            raise self._error("This quotation mark is never closed.", at, f'Close it with ". {PLAIN_HINT}')
        self.at = here + 1
        value = "".join(out)
        if what == "phrase":
            if not value.strip():
                raise self._error("There is nothing between the quotation marks.", at, PLAIN_HINT)
            if "\n" in value or "\r" in value:
                raise self._error("A phrase stands within one line.", at, "Ask for each line as a phrase of its own.")
            self._must_be_unicode(value, at)
        return value

    def _regex(self, at: int, end: int) -> str:
        written = self.text[at + 1 : end]
        source = re.sub(r"\\(.)", lambda found: "/" if found[1] == "/" else found[0], written, flags=re.S)
        self.at = end + 1
        if "\n" in source or "\r" in source:
            raise self._error("A regular expression is written, and matches, within one line.", at, PLAIN_HINT)
        self._must_be_unicode(source, at)
        if problem := regex_problem(source):
            message, place = problem
            # An escaped slash takes one character more in the text than in the expression.
            place += source.count("/", 0, place)
            hint = f"Regular expressions are re2's: no look-around, no back-references. {PLAIN_HINT}"
            raise self._error(f"The regular expression cannot be read: {message}.", at + 1 + place, hint)
        return source

    def _value(self, name: str, at: int) -> str:
        if self.text[at : at + 1] == '"':
            value = self._phrase(at, "value")
        else:
            end = at
            while end < len(self.text) and not self.text[end].isspace():
                end += 1
            self.at, value = end, self.text[at:end]
        if not value.strip():
            hint = f"Write {name}:VALUE without a space, or \\{name}: to search for the word. {PLAIN_HINT}"
            raise self._error(f"Nothing stands after {name}:.", at, hint)
        if name == "path" and (problem := glob_problem(value)):
            raise self._error(f"The path glob cannot be read: {problem}.", at, "See docs/query.md for globs.")
        return value

    def _must_be_unicode(self, value: str, at: int) -> None:
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise self._error("An exact text must be valid UTF-8.", at, "Leave out the bytes that are not.")

    def _error(self, message: str, position: int, hint: str) -> QuerySyntax:
        return QuerySyntax(message, query=self.text, position=min(position, len(self.text)), hint=hint)


def glob_problem(glob: str) -> str:
    """What is wrong with a path glob, "" when it can be used."""
    try:
        re.compile(glob_regex(glob))
    except re.error as error:
        return str(error.msg)
    return ""


def regex_problem(source: str) -> tuple[str, int] | None:
    """What re2 has against a regular expression and the 0-based character where, None when it can be used."""
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(source, options)
        return None
    except re2.error as error:
        said = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error.args[0])
    message, _, fragment = said.partition(": ")
    if message == "missing )":
        return message, _open_bracket(source)
    if message.startswith("trailing"):
        return "a backslash at the end", len(source) - 1
    return (f"{message} {fragment}" if fragment else message), max(source.rfind(fragment), 0) if fragment else 0


def _open_bracket(source: str) -> int:
    """Where the last bracket stands that is opened and never closed."""
    opened, at, in_class = [0], 0, False
    while at < len(source):
        char = source[at]
        if char == "\\":
            at += 1
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
            at += source[at + 1 : at + 2] == "]"
        elif char == "(":
            opened.append(at)
        elif char == ")" and len(opened) > 1:
            opened.pop()
        at += 1
    return opened[-1]


def _can_negate(text: str, at: int) -> bool:
    """Whether a `-` before `at` negates: `--flag`, `-m`, `->`, `-1` and a dash on its own are text."""
    char = text[at : at + 1]
    if char == "_" or char.isalpha():
        return at + 1 < len(text) and not text[at + 1].isspace()
    return char == '"' or (char == "/" and _regex_end(text, at) > 0)


def _regex_end(text: str, at: int) -> int:
    """Where the regular expression closes whose first slash is at `at`, 0 when that slash opens none.

    It stands as its own token: the next slash that is not escaped is followed by white space or the end. No white space
    stands after the first slash, nor before the last one unless something inside can only be a regular expression. So
    `/usr/bin`, `and/or` and `read / write / run` are words.
    """
    here = at + 1
    if here >= len(text) or text[here].isspace() or text[here] == "/":
        return 0
    while here < len(text):
        if text[here] == "\\":
            here += 2
            continue
        if text[here] == "/":
            alone = here + 1 == len(text) or text[here + 1].isspace()
            inside = text[at + 1 : here]
            return here if alone and (not inside[-1].isspace() or _REGEX_SIGNS.search(inside)) else 0
        here += 1
    return 0


def _is_special(text: str, at: int) -> bool:
    """Whether a word that begins at `at` could be read as something else, so that a backslash before it makes it a word."""
    return text[at : at + 1] in ('"', "/", "-", "\\") or _FILTER.match(text, at) is not None


def _write(item: Item, after: str) -> str:
    """The item in the query language, given what stands after it."""
    sign = "-" if item.negated else ""
    if item.field == "phrase":
        return sign + _quoted(item.value)
    if item.field == "regex":
        slashed = re.sub(r"\\.|/", lambda found: "\\/" if found[0] == "/" else found[0], item.value, flags=re.S)
        return f"{sign}/{slashed}/"
    if item.field in FILTERS:
        bare = not (item.value.startswith('"') or any(char.isspace() for char in item.value))
        return f"{sign}{item.field}:{item.value if bare else _quoted(item.value)}"
    word = sign + item.value
    if item.field == "word" and _reads_otherwise(word, after, item):
        return "\\" + word
    return word


def _reads_otherwise(word: str, after: str, item: Item) -> bool:
    if not _is_special(word, 0):
        return False
    reader = _Reader(f"{word} {after}")
    try:
        return reader._item() != item
    except QuerySyntax:
        return True


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _one_edit(given: str, name: str) -> bool:
    """Whether one letter added, left out or changed, two letters swapped, or capitals make one name of the other."""
    if given == name:
        return False
    given = given.lower()
    if abs(len(given) - len(name)) > 1:
        return False
    same = 0
    while same < min(len(given), len(name)) and given[same] == name[same]:
        same += 1
    a, b = given[same:], name[same:]
    if len(a) == len(b):
        return a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
    return a[1:] == b if len(a) > len(b) else a == b[1:]
