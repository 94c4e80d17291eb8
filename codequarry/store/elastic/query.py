"""A request as a search of Elasticsearch: the words leg, the vectors leg, and the filters that narrow both.

Filters only narrow where they cannot be exact (path globs, patterns); `codequarry.store.scope` and `prefilter` decide on what
comes back. Those that are exact here spare the search from bringing chunks that would be dropped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from codequarry.store.elastic.documents import out
from codequarry.store.prefilter import Edge, Every, Phrase, Piece, Requirement, Some, requirement
from codequarry.store.schema import FIELDS, term_weights
from codequarry.text import LONG, glob_regex
from codequarry.types import Request, Scope

Query = dict[str, Any]

MOST_TERMS = 300
"""Of a question: a server may allow no more than 1,024 clauses in a query, and each term stands in three fields."""

VECTOR_BOOST = 100_000.0
"""Puts every hit of the vectors leg before every hit of words alone, so that one ranking holds the whole of both legs."""

_MOST_WILDCARDS = 12  # of a glob: more make an automaton that the server refuses

HIT_FIELDS = [
    "repo",
    "src",
    "path",
    "blob",
    "recipe",
    "language",
    "marks",
    "kind",
    "start",
    "end",
    "breadcrumb",
    "defines",
    "content_hash",
    "text",
]


def narrowing(scope: Scope, sources: Sequence[str] | None) -> tuple[list[Query], list[Query]]:
    """Conditions that every chunk in scope satisfies, and conditions that none does.

    `sources`: ids of the sources in scope, None when all of the index's are.
    """
    must: list[Query] = []
    must_not: list[Query] = []
    if sources is not None:
        must.append({"terms": {"src": list(sources)}})
    for field, values, without in (
        ("language", scope.languages, scope.not_languages),
        ("kinds", scope.kinds, scope.not_kinds),
        ("symbols", scope.symbols, scope.not_symbols),
    ):
        if values:
            must.append({"terms": {field: [out(value) for value in values]}})
        if without:
            must_not.append({"terms": {field: [out(value) for value in without]}})
    if scope.paths:
        queries = [_path(glob) for glob in scope.paths]
        if all(queries):
            must.append(_any([query for query in queries if query is not None]))
    must_not += [query for glob in scope.not_paths if (query := _path(glob)) is not None]
    if scope.not_terms:
        must_not.append({"terms": {"t_content": list(scope.not_terms)}})
    for pattern in scope.patterns:
        needed = requirement(pattern.regex)
        query = None if needed is None else _required(needed)
        if query is not None:
            # A chunk with a word that was too long to be indexed may match whatever words it has.
            must.append(_any([query, {"term": {"raw": LONG}}]))
    return must, must_not


def words(request: Request) -> list[Query]:
    """The words leg: one named clause a field, so that each field's own score comes back."""
    if request.term_weights:
        return _weighted_words(request)
    terms = " ".join(list(dict.fromkeys(request.terms))[:MOST_TERMS])
    if len(set(request.terms)) < len(request.terms) <= MOST_TERMS:
        terms = " ".join(request.terms)  # one that stands twice counts twice
    if not terms:
        return []
    return [
        {"match": {f"t_{field}": {"query": terms, "boost": weight, "_name": field}}}
        for field, weight in zip(FIELDS, request.weights, strict=True)
        if weight
    ]


def _weighted_words(request: Request) -> list[Query]:
    """The words leg where each term has a weight of its own."""
    terms = list(term_weights(request).items())[:MOST_TERMS]
    return [
        {
            "bool": {
                "should": [{"term": {f"t_{field}": {"value": term, "boost": of_term}}} for term, of_term in terms],
                "boost": weight,
                "_name": field,
            }
        }
        for field, weight in zip(FIELDS, request.weights, strict=True)
        if weight and terms
    ]


def hybrid(request: Request, filters: tuple[list[Query], list[Query]], most_words: int, most_vectors: int) -> Query:
    """The one search of a question: the best `most_words` by words and the best `most_vectors` by vectors are in its answer."""
    must, must_not = filters
    body: Query = {"size": 0, "track_total_hits": False, "_source": list(HIT_FIELDS)}
    clauses = words(request)
    if clauses and most_words:
        body["size"] += most_words
        body["query"] = {"bool": {"should": clauses, "filter": must, "must_not": must_not, "minimum_should_match": 1}}
    if request.vector is not None:
        body["_source"].append("vector")
        if most_vectors:
            body["size"] += most_vectors
            body["knn"] = {
                "field": "vector",
                "query_vector": request.vector.hex(),
                "k": most_vectors,
                "num_candidates": min(10_000, max(2 * most_vectors, 200)),
                "boost": VECTOR_BOOST,
                "_name": "vector",
            }
            if must or must_not:  # a filter that everything passes is not free
                body["knn"]["filter"] = {"bool": {"filter": must, "must_not": must_not}}
    return body


def matching(request: Request, filters: tuple[list[Query], list[Query]], page: int) -> Query:
    """Every chunk that may match the patterns, in the order of the answer; `search_after` brings the next page."""
    must, must_not = filters
    fields = [*HIT_FIELDS, "vector"] if request.vector is not None else list(HIT_FIELDS)
    query: Query = {"bool": {"should": words(request), "filter": must or [{"match_all": {}}], "must_not": must_not}}
    query["bool"]["minimum_should_match"] = 0
    return {
        "size": page,
        "query": query,
        "_source": fields,
        "track_total_hits": False,
        "sort": [{"_score": "desc"}, {"repo": "asc"}, {"path": "asc"}, {"start": "asc"}],
    }


def _any(queries: Sequence[Query]) -> Query:
    return queries[0] if len(queries) == 1 else {"bool": {"should": list(queries), "minimum_should_match": 1}}


# ------------------------------------------------------------------------------------------------------------------ paths


def _path(glob: str) -> Query | None:
    """The paths of a glob: a folder's list where that says it all, else a regular expression; None: not narrowed."""
    plain = glob.strip("/")
    if "/" in glob.rstrip("/") and not set(plain) & set("*?[]{}\\,"):
        return _any([{"term": {"folders": out(plain)}}, {"term": {"path": out(plain)}}])
    regex = lucene_glob(glob)
    return None if regex is None else {"regexp": {"path": {"value": regex, "flags": "NONE"}}}


_ATOM = re.compile(r"\(\?:|\\(.)|\[(\^?)((?:\\.|[^\]\\])*)\]|(.)", re.DOTALL)


def lucene_glob(glob: str) -> str | None:
    """`text.glob_regex` in Lucene's syntax, matching the same paths; None where that is not certain."""
    if sum(map(glob.count, "*?{")) > _MOST_WILDCARDS:
        return None
    regex = out(glob_regex(glob)).removeprefix("(?s:").removesuffix(")")
    written: list[str] = []
    for found in _ATOM.finditer(regex):
        whole, (escaped, _, inside, plain) = found.group(), found.groups()
        if whole == "(?:":
            written.append("(")
        elif escaped is not None:
            written.append(_literal(escaped))
        elif inside is not None:
            if not re.fullmatch(r"(?:[A-Za-z0-9_./ -])+", inside) or re.search(r"^-|-$|-.-", inside):
                return None
            written.append(whole)
        elif plain in "()|*?+.":
            written.append(plain)
        else:
            written.append(_literal(plain))
    text = "".join(written)
    return None if re.search(r"(?<!\\)(\(\||\|\||\|\)|\(\))", text) else text


_SPECIAL = frozenset('.?+*|{}[]()"\\#@&<>~^$-')


def _literal(text: str) -> str:
    return "".join(f"\\{char}" if char in _SPECIAL else char for char in text)


# --------------------------------------------------------------------------------------------------------------- patterns


def _required(needed: Requirement) -> Query | None:
    """A requirement over the words of `raw`; None where nothing is left of it that the index can tell."""
    if isinstance(needed, Phrase):
        return _phrase(needed)
    queries = [_required(part) for part in needed.parts]
    known = [query for query in queries if query is not None]
    if isinstance(needed, Every):
        return {"bool": {"filter": known}} if known else None
    assert isinstance(needed, Some)
    return _any(known) if len(known) == len(queries) and known else None


def _phrase(phrase: Phrase) -> Query | None:
    """Runs of whole words as phrases, each other piece by itself."""
    found: list[Query] = []
    run: list[str] = []
    for piece in (*phrase.pieces, None):
        if piece is not None and piece.exact and piece.text is not None:
            run.append(piece.text)
            continue
        if len(run) == 1:
            found.append({"term": {"raw": run[0]}})
        elif run:
            found.append({"match_phrase": {"raw": " ".join(run)}})
        run = []
        if piece is not None and (query := _piece(piece)) is not None:
            found.append(query)
    return {"bool": {"filter": found}} if found else None


def _piece(piece: Piece) -> Query | None:
    if len(piece.text or piece.core) > 500:
        return None
    if piece.text is not None and not piece.ignore_case:
        if piece.left is Edge.CLOSED:
            return {"prefix": {"raw": {"value": piece.text}}}
        pattern = re.sub(r"([*?\\])", r"\\\1", piece.text)
        left, right = "*", "" if piece.right is Edge.CLOSED else "*"
        return {"wildcard": {"raw": {"value": f"{left}{pattern}{right}"}}}
    core = _folded(piece.text) if piece.text is not None else lucene_core(piece.core)
    if core is None:
        return None
    left = "" if piece.left is Edge.CLOSED else ".*"
    right = "" if piece.right is Edge.CLOSED else ".*"
    return {"regexp": {"raw": {"value": f"{left}({core}){right}", "flags": "NONE"}}}


def _folded(text: str) -> str:
    """A literal whatever its case, as re2 folds it: k is also the sign of Kelvin, s the long s; beyond ASCII any sign will do."""
    more = {"k": "\u212a", "s": "\u017f"}
    folded = []
    for char in text:
        if not char.isascii():
            folded.append(".")
        elif char.isalpha():
            folded.append(f"[{char.lower()}{char.upper()}{more.get(char.lower(), '')}]")
        else:
            folded.append(_literal(char))
    return "".join(folded)


_CORE = re.compile(
    r"\(\?i:|\(\?:|\\x\{([0-9a-f]+)\}|\\(\W)|(\[(?:\\x\{[0-9a-f]+\}|[A-Za-z0-9_-])+\])|(\{\d+(?:,\d*)?\})|([()|])|(\w)",
)


def lucene_core(core: str) -> str | None:
    """The regex of a piece (re2's syntax, as `prefilter` writes it) in Lucene's; None where it has more than that."""
    if "(?i:" in core:
        return None
    written: list[str] = []
    at = 0
    while at < len(core):
        found = _CORE.match(core, at)
        if found is None:
            return None
        code, escaped, inside, count, sign, char = found.groups()
        if found.group() == "(?:":
            written.append("(")
        elif code is not None:
            written.append(_literal(chr(int(code, 16))))
        elif inside is not None:
            written.append(re.sub(r"\\x\{([0-9a-f]+)\}", lambda hexed: _in_class(chr(int(hexed[1], 16))), inside))
        elif count is not None:
            low, _, high = count[1:-1].partition(",")
            if int(low or 0) > 50 or int(high or 0) > 50:
                return None
            written.append(count)
        else:
            written.append(_literal(escaped) if escaped else sign or char)
        at = found.end()
    text = "".join(written)
    return None if re.search(r"(?<!\\)(\(\||\|\||\|\)|\(\))", text) else text


def _in_class(char: str) -> str:
    return f"\\{char}" if char in '^-]\\["' else char
