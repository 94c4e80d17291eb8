"""Text to words to terms: the same code when indexing and when asking, for both stores and the model that ships.

A *word* is a run of ASCII letters, digits and underscores or of bytes from 128 up, case kept. A word has *parts*
(`parseHTTPHeader` -> parse, http, header). Its *terms* are what BM25 counts: the whole word in lower case and without
underscores, and its parts, all stemmed. Terms are made in Python so that both stores count the same things; a memo from word to
terms makes that quick, since a code base has about thirty times as many words as distinct words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from math import ceil
from typing import TypeVar

FILLER = "_"
"""Stands in the names field of a chunk that defines no name, else the stores count that field's documents differently."""

LONG_WORD = 128
"""Words of more bytes than this (keys, embedded data) are cut in `terms`, and stand as `LONG` in `raw`."""

LONG = "_LONG_"
"""What `raw` has in place of a word longer than LONG_WORD: a filter on words must let chunks that have it pass."""

_MEMO_LIMIT = 200_000  # about 30 MB of words and what they stand for

Key = TypeVar("Key")
Value = TypeVar("Value")

_WORD_BYTES = bytes(
    byte if byte >= 128 or byte == 0x5F or (chr(byte).isascii() and chr(byte).isalnum()) else 0x20
    for byte in range(256)
)

_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_UNICODE_PARTS = re.compile(r"[^\W\d_]+|\d+")
# Scripts written without spaces: Han, Hiragana, Katakana, Thai, Lao, Khmer, Myanmar. Their runs are cut into pairs.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")

# Words that carry no meaning in a question about code. Words that name things in code (get, set, for, if, new) are not in it
# unless English grammar puts them into nearly every question.
STOP_WORDS = frozenset(
    "a about all also am an and any are as at be been being but by can could did do does doing done each for from get "
    "gets had happen happens has have having here how i if in into is it its just like made make makes many may me mean "
    "might must my need needs no not of on once one only or other our out over own please s same should show so some "
    "such t than that the their them then there these they this those through to too under up us use used uses using "
    "very via want was way we were what when where which while who whom whose why will with within without work works "
    "would you your".split()
)


def words(text: str | bytes) -> list[str]:
    """The words of a text in order, case kept.

    >>> words("if err := readFile(path_1); err != nil")
    ['if', 'err', 'readFile', 'path_1', 'err', 'nil']
    """
    return [word.decode("utf-8", "replace") for word in split(text)]


def split(text: str | bytes) -> list[bytes]:
    """The words as bytes. Whoever needs several things of one text splits it once and asks for them `of` the words."""
    return spaced(_encode(text)).split()


def spaced(text: bytes) -> bytes:
    """The text with a space for each byte that belongs to no word: its words stand where they stood."""
    return text.translate(_WORD_BYTES)


def raw(text: str | bytes) -> str:
    """The words of a text in order, separated by spaces, words longer than LONG_WORD bytes as LONG."""
    return raw_of(split(text))


def raw_of(words: list[bytes]) -> str:
    """`raw` of a text's words."""
    if words and max(map(len, words)) > LONG_WORD:
        words = [word if len(word) <= LONG_WORD else b"_LONG_" for word in words]
    return b" ".join(words).decode("utf-8", "replace")


def parts(word: str) -> tuple[str, ...]:
    """The parts of a word in lower case, unstemmed, in order.

    >>> parts("parseHTTPHeader2_ok")
    ('parse', 'http', 'header', '2', 'ok')
    """
    if word.isascii():
        return tuple([part.lower() for part in _PARTS.findall(word)])
    found: list[str] = []
    for run in _UNICODE_PARTS.findall(word):
        found.extend([part.lower() for part in _PARTS.findall(run)] if run.isascii() else _unspaced(run.casefold()))
    return tuple(found)


def _unspaced(run: str) -> list[str]:
    """A run of letters, its stretches without spaces between words (Chinese, Japanese, Thai …) cut into overlapping pairs."""
    found, at = [], 0
    for match in _UNSPACED.finditer(run):
        if match.start() > at:
            found.append(run[at : match.start()])
        stretch = match.group()
        found.extend([stretch[i : i + 2] for i in range(len(stretch) - 1)] or [stretch])
        at = match.end()
    if at < len(run):
        found.append(run[at:])
    return found


class Memo(dict[Key, Value]):
    """A dictionary that makes what it lacks. Of two halves it forgets the older one when the younger is full.

    Forgetting everything at once would cost more than all words that are met once: a code base goes on to use its usual ones.
    """

    def __init__(self, make: Callable[[Key], Value]) -> None:
        super().__init__()
        self._make = make
        self._older: dict[Key, Value] = {}

    def __missing__(self, key: Key) -> Value:
        made = self._older.get(key)
        if made is None:
            made = self._make(key)
        if len(self) >= _MEMO_LIMIT // 2:
            self._older = self.copy()
            self.clear()
        self[key] = made
        return made


_memo: Memo[bytes, str] | None = None


def _terms() -> Memo[bytes, str]:
    """The memo from a word to its terms, space-separated."""
    global _memo
    if _memo is None:
        from Stemmer import Stemmer

        stem: Callable[[str], str] = Stemmer("english").stemWord
        _memo = Memo(lambda word: _stemmed(word, stem))
    return _memo


def _stemmed(word: bytes, stem: Callable[[str], str]) -> str:
    kept = word[:LONG_WORD].decode("utf-8", "ignore")
    found = parts(kept)
    if len(found) == 1:
        return stem(found[0])
    if not found:  # only underscores, or signs outside ASCII that are no letters
        return ""
    stems = [stem(part) for part in found]
    if kept.isascii():
        stems.insert(0, stem("".join(found)))
    return " ".join(stems)


def terms(text: str | bytes) -> str:
    """The BM25 terms of a text in order, separated by single spaces: each word's whole form, then its parts.

    >>> terms("parseHTTPHeaders(lines)")
    'parsehttphead pars http header line'
    """
    return terms_of(split(text))


def word_terms(word: bytes) -> str:
    """The terms of one word, separated by single spaces; "" for one that has none."""
    return _terms()[word]


def stems(name: str) -> tuple[str, ...]:
    """The stemmed parts of one name in order, without its whole form.

    >>> stems("parseHTTPHeaders")
    ('pars', 'http', 'header')
    """
    found = tuple(_terms()[name.encode("utf-8", "replace")].split())
    return found[1:] if len(found) > 1 and name.isascii() else found


def beginning(stem: str) -> str:
    """What every word with this stem begins with, in lower case.

    A stem is how its words begin, but for a letter at its end that stemming changes (query: queri, hoping: hope, possibility:
    possibl), and for the three verbs whose y it makes an i.

    >>> [beginning(stem) for stem in ("pars", "queri", "die")]
    ['pars', 'quer', 'd']
    """
    if stem in ("die", "lie", "tie"):
        return stem[0]
    return stem[:-1] if stem[-1:] in "eily" else stem


def terms_of(words: list[bytes]) -> str:
    """`terms` of a text's words."""
    found = " ".join(map(_terms().__getitem__, words))
    if "  " in found or found[:1] == " " or found[-1:] == " ":  # words without terms, such as "__"
        found = re.sub(" {2,}", " ", found).strip(" ")
    return found


def names_terms(names: Iterable[str]) -> str:
    """The BM25 terms of the names that a chunk defines, FILLER when there is none."""
    return terms(" ".join(names)) or FILLER


def question_terms(text: str) -> tuple[str, ...]:
    """The BM25 terms of a question in order, stop words left out, each once; all words when nothing else is there.

    >>> question_terms("how are the HTTP headers parsed?")
    ('http', 'header', 'pars')
    """
    memo = _terms()
    found = words(text)
    telling = [word for word in found if word.lower() not in STOP_WORDS] or found
    return tuple(dict.fromkeys(" ".join(memo[word.encode("utf-8", "replace")] for word in telling).split()))


def content_hash(data: bytes) -> str:
    """32 hex digits that name the content."""
    from hashlib import blake2b  # 3 ms that a question need not pay

    return blake2b(data, digest_size=16).hexdigest()


def _encode(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # other lone surrogates, as JSON can bring them
        return text.encode("utf-8", "replace")


# ------------------------------------------------------------------------------------------------------------------ globs


def glob_regex(glob: str) -> str:
    """A regular expression (Python's and re2's syntax, to be matched against the whole path) for a path glob.

    `*` and `?` stay within a path segment, `**` does not; `[abc]`, `[!a-z]` and `{a,b}` as in a shell. A glob without a slash
    matches in any folder, one with a slash from the root on (a leading slash says the same). What it matches may be a folder:
    everything below it matches too.

    >>> import re
    >>> [bool(re.fullmatch(glob_regex(g), "src/net/http/server.go")) for g in ("*.go", "src/net", "net/http", "**/http/*.go")]
    [True, True, False, True]
    """
    anchored = "/" in glob.rstrip("/")
    body = _glob_body(glob.strip("/"))
    prefix = "" if anchored else "(?:.*/)?"
    return f"(?s:{prefix}{body}(?:/.*)?)"


def glob_test(globs: Iterable[str]) -> Callable[[str], bool]:
    """Whether any of these globs matches a path, as a function; in linear time where a glob could take for ever.

    Python's own matcher is quicker for the globs that people write, and needs exponential time for those of many stars or
    braces, during which nothing else in the process runs.

    Raises:
        re.error: a glob cannot be read.
    """
    globs = tuple(globs)
    regex = "|".join(map(glob_regex, globs))
    compiled = re.compile(regex)
    if all(glob.count("{") + len(_STARS.findall(glob)) <= 3 for glob in globs):
        return lambda path: compiled.fullmatch(path) is not None
    import re2

    linear = re2.compile(regex.encode("utf-8", "replace"))
    return lambda path: linear.fullmatch(path.encode("utf-8", "replace")) is not None


_STARS = re.compile(r"\*+")


def _glob_body(glob: str) -> str:
    out, at, depth = [], 0, 0
    while at < len(glob):
        char = glob[at]
        at += 1
        if char == "*":
            if glob[at : at + 1] == "*":
                at += 1
                if glob[at : at + 1] == "/":
                    at += 1
                    out.append("(?:.*/)?")
                else:
                    out.append(".*")
            else:
                out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[" and (end := glob.find("]", at + 2 if glob[at : at + 1] in "!^" else at + 1)) > 0:
            inside = glob[at:end].replace("\\", "\\\\").replace("[", "\\[")
            if inside[:1] in "!^":
                inside = "^/" + inside[1:]
            out.append(f"[{inside}]")
            at = end + 1
        elif char == "{" and "}" in glob[at:]:
            out.append("(?:")
            depth += 1
        elif char == "}" and depth:
            out.append(")")
            depth -= 1
        elif char == "," and depth:
            out.append("|")
        elif char == "\\" and at < len(glob):
            out.append(re.escape(glob[at]))
            at += 1
        else:
            out.append(re.escape(char))
    return "".join(out) + ")" * depth


_GLOB_SIGNS = re.compile(r"[][*?{},!\\]")


def glob_of(path: str) -> str:
    """The glob that matches this path, or what is below it, and no other."""
    return "/" + _GLOB_SIGNS.sub(r"\\\g<0>", path)


# ----------------------------------------------------------------------------------------------------------------- tokens

_TOKENS = re.compile(r"[A-Za-z]+|[0-9]+|[ \t]+|\n+|[^\x00-\x7f]|.", re.DOTALL)


def count_tokens(text: str) -> int:
    """About how many tokens a language model makes of a text, from above: its budget is to hold whichever model reads it.

    Letters count one token for each five, digits one for each three, other signs one each, white space before a word nothing:
    byte-pair vocabularies of 100,000 tokens and more make fewer.
    """
    total = 0
    for match in _TOKENS.finditer(text):
        piece = match.group()
        first = piece[0]
        if first == " " or first == "\t":
            total += len(piece) > 1
        elif first.isascii():
            total += ceil(len(piece) / (5 if first.isalpha() else 3 if first.isdigit() else 4 if first == "\n" else 1))
        else:
            total += len(first.encode("utf-8", "surrogatepass")) - 1
    return total
