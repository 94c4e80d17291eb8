"""A query and its scope become one request to the store: terms for the words leg, a vector for the other."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from codequarry import text
from codequarry.errors import ModelError
from codequarry.ports import Embedder
from codequarry.search.features import Question, question_of
from codequarry.search.query import Query
from codequarry.search.scope import Resolved
from codequarry.types import Pattern, Request

WORDS, VECTORS = 80, 40
"""How many candidates each leg gives: the right file is among them for 98 of 100 questions.

With 60 and 30, and weights fitted to that, a question takes a tenth less and the figures of bench/reports/short.md are .002 and
.004 lower.
"""

LONG_WORDS = 300
"""The same of the words leg for a long text: it has words of many files, and tests and documents have most of them."""

MATCHES, MORE_MATCHES = 200, 2000
"""How many chunks that match a pattern are asked for, on the first pages and after them."""

ANYTHING = Pattern("")
"""Asked for where a query has filters alone: a store lists what patterns match, and this one matches every chunk."""

MOST_TERMS = 64
"""A question is asked with at most so many terms, its first."""


@dataclass(slots=True)
class Asked:
    """A request, the question behind it, and what a reader should know about how it was made.

    `meant`: what a model is given of the question, of a long text its title and its prose.
    """

    request: Request
    question: Question
    notes: list[str] = field(default_factory=list)
    meant: str = ""

    @property
    def by_words(self) -> bool:
        """Whether the question's words, and no patterns, choose the candidates."""
        return bool(self.request.terms and not self.request.scope.patterns)


def ask(query: Query, resolved: Resolved, embedder: Embedder | None) -> Asked:
    """The request that answers a query within its scope. A model that fails costs the vectors leg, and a note says so."""
    notes: list[str] = []
    scope = resolved.scope
    exact = not query.words
    # A filter on a name is a question for it too: its definers come first among very many matches.
    written = " ".join([query.question, *scope.symbols]) if exact else query.question
    repos = {state.source.repo for state in resolved.states}
    meant = written
    weights: tuple[float, ...] = ()
    if query.is_long:
        from codequarry.search import issue_terms  # which a short question need not wait for
        from codequarry.search.issue import read

        issue = read(query.question)
        weighed = issue_terms.weighed_terms(issue, _own_name_of(repos))
        terms, weights = tuple(weighed), tuple(weighed.values())
        meant = f"{issue.title}\n{issue.prose}".strip() or written
    else:
        terms = question_terms(written, repos)
    vector = None
    if embedder is not None and not exact:
        try:
            vector = embedder.embed_question(meant)
        except ModelError as error:
            notes.append(f"Searched by words only: {error.message}")
        if vector is not None and not any(vector):
            vector = None  # no token of the question is known to the model
    if exact and not terms and not scope.patterns:
        scope = replace(scope, patterns=(ANYTHING,))
    request = Request(
        scope=scope,
        terms=terms,
        term_weights=weights,
        vector=vector,
        words=0 if exact and not terms else LONG_WORDS if query.is_long else WORDS,
        vectors=0 if vector is None else VECTORS,
        matches=MATCHES,
    )
    return Asked(request, question_of(query, terms, scope.paths, scope.kinds), notes, meant)


def question_terms(written: str, repos: set[str]) -> tuple[str, ...]:
    """The terms to ask for. Within one repository its own name is left out: it stands in every file, and is rare elsewhere."""
    found = text.question_terms(written)
    own = _own_name_of(repos)
    found = tuple(term for term in found if term not in own) or found
    return found[:MOST_TERMS]


def _own_name_of(repos: set[str]) -> frozenset[str]:
    return own_name_terms(next(iter(repos))) if len(repos) == 1 else frozenset()


def own_name_terms(repo: str) -> frozenset[str]:
    """The terms of the last segment of a repository's name: the whole of it and its parts."""
    name = repo.rstrip("/").rsplit("/", 1)[-1]
    whole = "".join(text.parts(name))
    return frozenset(text.terms(f"{name} {whole}").split())
