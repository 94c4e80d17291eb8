"""The state of the page as an address: what is asked, the filters, the place in the answer, and what was picked for a prompt.

Bytes that are no UTF-8, as paths may hold them, go into an address and come back unchanged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, unquote, urlencode

from codequarry.errors import BadInput
from codequarry.search.query import FILTERS

FORMATS = ("markdown", "xml", "json")
BUDGET = 4000

_SAFE = "/:@,*"  # characters that an address may have as they are, so that people can read it


@dataclass(frozen=True, slots=True)
class Pick:
    """Lines of a file that somebody wants in a prompt. `blob` is the beginning of git's id of the file as it was then."""

    repo: str
    branch: str
    path: str
    blob: str
    start_line: int
    end_line: int

    def __str__(self) -> str:
        names = "@".join(_quoted(name) for name in (self.branch, self.repo, self.path))
        return f"{self.start_line}-{self.end_line}@{self.blob[:8]}@{names}"

    @classmethod
    def read(cls, text: str) -> Pick:
        """The pick that `str` wrote.

        Raises:
            BadInput: it is none.
        """
        parts = text.split("@")
        first, _, last = parts[0].partition("-")
        if len(parts) != 5 or not (_is_number(first) and _is_number(last)):
            raise BadInput(f"{text[:80]!r} is no snippet that was picked.", hint="Pick it again from a search.")
        branch, repo, path = (unquote(part, errors="surrogateescape") for part in parts[2:])
        return cls(repo, branch, path, parts[1], int(first), int(last))


@dataclass(frozen=True, slots=True)
class Address:
    """What a view shows."""

    q: str = ""
    filters: tuple[tuple[str, str], ...] = ()  # name of `FILTERS` and value; any value of one name will do
    plain: bool = False
    cursor: str = ""
    picks: tuple[str, ...] = ()
    budget: str = ""
    format: str = ""

    @classmethod
    def read(cls, query: str) -> Address:
        """The address of a URL's query. What is not known in it is left out."""
        pairs = parse_qsl(query, errors="surrogateescape", max_num_fields=1000)
        last = dict(pairs)
        return cls(
            # Forms send CR LF where a text has a line break.
            q=last.get("q", "").encode("utf-8", "surrogateescape").decode("utf-8", "replace").replace("\r\n", "\n"),
            filters=tuple(dict.fromkeys((name, value) for name, value in pairs if name in FILTERS)),
            plain=last.get("plain") == "1",
            cursor=last.get("cursor", ""),
            picks=tuple(dict.fromkeys(value for name, value in pairs if name == "pick")),
            budget=last.get("budget", ""),
            format=last.get("format", ""),
        )

    def pairs(self) -> list[tuple[str, str]]:
        """Names and values as a form sends them."""
        found = [("q", self.q), *self.filters, ("plain", "1" if self.plain else ""), ("cursor", self.cursor)]
        found += [("pick", pick) for pick in self.picks]
        found += [("budget", self.budget if self.budget != str(BUDGET) else "")]
        found += [("format", self.format if self.format != FORMATS[0] else "")]
        return [(name, value) for name, value in found if value]

    def url(self, path: str = "/") -> str:
        """The URL of a view of it."""
        return with_query(path, self.pairs())

    def with_filter(self, name: str, value: str) -> Address:
        """The same with one more value of a filter, from the first hit."""
        return replace(self, filters=tuple(dict.fromkeys([*self.filters, (name, value)])), cursor="")

    def without_filter(self, name: str, value: str) -> Address:
        """The same without a value of a filter, from the first hit."""
        return replace(self, filters=tuple(one for one in self.filters if one != (name, value)), cursor="")

    def with_picks(self, picks: list[str]) -> Address:
        """The same with these picks, each once."""
        return replace(self, picks=tuple(dict.fromkeys(picks)))

    def toggled(self, pick: str) -> Address:
        """The same with one more pick, or without it where it is there."""
        kept = [one for one in self.picks if one != pick]
        return self.with_picks(kept if len(kept) < len(self.picks) else [*kept, pick])

    def moved(self, pick: str, by: int) -> Address:
        """The same with a pick moved up or down by so many places."""
        picks = list(self.picks)
        at = picks.index(pick)
        picks.insert(min(max(at + by, 0), len(picks)), picks.pop(at))
        return self.with_picks(picks)

    def values(self, name: str) -> list[str]:
        """The values of a filter."""
        return [value for known, value in self.filters if known == name]

    @property
    def for_rest(self) -> dict[str, list[str]]:
        """The filters as REST takes them."""
        return {name: values for name in FILTERS if (values := self.values(name))}


def file_url(
    repo: str, path: str, branch: str, *, lines: tuple[int, int] | None = None, address: Address | None = None
) -> str:
    """The URL of a file, at some of its lines; `address`: the search that leads there, whose matches are marked."""
    pairs = [("repo", repo), ("path", path), ("branch", branch)]
    if address is not None:
        pairs += [(name, value) for name, value in address.pairs() if name in ("q", "plain", "pick")]
    mark = ""
    if lines:
        mark = f"#L{lines[0]}" if lines[0] == lines[1] else f"#L{lines[0]}-L{lines[1]}"
    return with_query("/file", [(name, value) for name, value in pairs if value]) + mark


def with_query(path: str, pairs: list[tuple[str, str]]) -> str:
    """A URL of a path and a query."""
    return f"{path}?{urlencode(pairs, safe=_SAFE, errors='surrogateescape')}" if pairs else path


def exactly(path: str) -> str:
    """A path as a glob that matches it alone, or what is below it where it is a folder."""
    return "/" + "".join(f"\\{char}" if char in "*?[]{},\\" else char for char in path)


def shown_glob(glob: str) -> str:
    """A glob that `exactly` made, as people write the path; others as they are."""
    return re.sub(r"\\(.)", r"\1", glob[1:]) if glob.startswith("/") else glob


def _quoted(name: str) -> str:
    return quote(name.encode("utf-8", "surrogateescape"), safe="/:")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10
