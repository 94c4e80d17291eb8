"""The words of a long text, weighed: what its title says counts more than its prose, and that more than pasted code and logs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from codequarry import text
from codequarry.search.issue import CODE, LOG, PROSE, TITLE, Issue

MOST_TERMS = 64
"""A long text is asked with so many terms, those that weigh most: more bring little and cost time."""

_PARTS = {TITLE: 3.0, PROSE: 1.0, CODE: 0.5, LOG: 0.5}
_OFTEN, _DAMPED = 5, 0.7  # a term counts as often as it stands there, up to so many times, to this power
_LINK, _PATH, _FRAME, _NAME, _ERROR = 3.0, 1.5, 1.0, 1.0, 0.5
_SEGMENTS = 3  # of a path, from its end: what stands before is the machine's it was written on
_MOST_FRAMES = 12  # the nearest to what happened

# Words of which issues are full, whatever they are about. `text.STOP_WORDS` holds those of every question.
_ISSUE_WORDS = frozenset(
    "issue issues bug bugs problem problems feature features request requests behavior behaviour behaviors behaviours "
    "expected expect expecting actual actually reproduce reproduced reproduces reproducing reproduction reproducible repro "
    "steps step describe describes description thanks thank hello hi hey sorry dear currently current still instead seems "
    "seem seemed think thinking know known see seen saw look looks looking like likely however although though because "
    "since already possible possibly maybe perhaps really quite bit lot lots ways thing things something anything nothing "
    "everything someone somebody anyone much even able unable want wants wanted try tried trying tries fine worked doesn "
    "don didn isn wasn aren weren won wouldn shouldn couldn hasn haven hadn ll ve re example examples sample snippet "
    "following follows above below version versions latest recent recently release released environment additional "
    "additionally context details detail information info similar related solution solutions alternative alternatives "
    "consider considered suggest suggested suggestion suggestions help helpful understand question questions report "
    "reported reporting duplicate discussion screenshot screenshots workaround regression proposal motivation minimal "
    "relevant affected happening correct correctly incorrect incorrectly wrong wrongly unexpected unexpectedly fails fail "
    "failing failed failure broken breaks break fix fixed fixes fixing cause causes caused causing due case cases ideally "
    "simple simply easy easily good better best bad sure probably obviously basically essentially clearly unfortunately "
    "nice great well yes yet etc ie eg vs per new old add added adding support supported supporting supports implement "
    "implementation implemented usage therefore thus whenever while whether either neither rather than else otherwise "
    "always never often sometimes between https http com www github gitlab org".split()
)
# Words of code that stand in every file of some language.
_KEYWORDS = frozenset(
    "import from def return class self this let const var fn func function pub use mod impl struct enum match void int bool "
    "auto static public private protected final package namespace include require module export default async await try "
    "catch except finally raise throw throws new null nil true false if else elif end begin print println printf main "
    "string str".split()
)
_SAYS_NOTHING = {
    TITLE: text.STOP_WORDS | _ISSUE_WORDS,
    PROSE: text.STOP_WORDS | _ISSUE_WORDS,
    CODE: text.STOP_WORDS | _ISSUE_WORDS | _KEYWORDS,
    LOG: text.STOP_WORDS | _ISSUE_WORDS | _KEYWORDS,
}


def weighed_terms(issue: Issue, without: Collection[str] = ()) -> dict[str, float]:
    """The BM25 terms to ask for with what each counts, the heaviest first, at most `MOST_TERMS`; `without`: terms to leave out."""
    weights: dict[str, float] = {}
    for part, weight in _PARTS.items():
        for term, count in counted(issue, part).items():
            _add(weights, term, weight * min(count, _OFTEN) ** _DAMPED)
    for weight, paths in (
        (_LINK, [link.path for link in issue.links]),
        (_PATH, list(issue.paths)),
        (_FRAME, [frame.path for frame in issue.frames[-_MOST_FRAMES:]]),
    ):
        for term in {term for path in paths for term in _path_terms(path)}:
            _add(weights, term, weight)
    for term in {text.terms(name.text).split(" ", 1)[0] for name in issue.names if name.where != CODE}:
        if term in weights:
            weights[term] += _NAME
    for term in _telling(" ".join(issue.errors), LOG):
        _add(weights, term, _ERROR)
    heaviest = sorted(weights.items(), key=lambda item: -item[1])
    return dict([item for item in heaviest if item[0] not in without][:MOST_TERMS]) or dict(heaviest[:MOST_TERMS])


def counted(issue: Issue, part: str) -> Counter[str]:
    """How often each term stands in a part (title, prose, code, log), words that say nothing there left out."""
    written = {TITLE: issue.title, PROSE: issue.prose, CODE: issue.code, LOG: issue.logs}[part]
    return Counter(_telling(written, part))


def _telling(written: str, part: str) -> list[str]:
    nothing = _SAYS_NOTHING[part]
    words = [
        word for word in text.words(written) if len(word) > 1 and not word.isdigit() and word.lower() not in nothing
    ]
    return text.terms(" ".join(words)).split()


def _path_terms(path: str) -> list[str]:
    return text.terms(" ".join(path.split("/")[-_SEGMENTS:]).rsplit(".", 1)[0]).split()


def _add(weights: dict[str, float], term: str, weight: float) -> None:
    weights[term] = weights.get(term, 0.0) + weight
