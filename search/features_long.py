"""What a long text says about a file, as numbers: the features by which files are ordered for issues, stack traces and logs.

A long text names things outright: a link, a path, a frame, an identifier. A name that many of the found files have says less of
each of them. As for short questions, all is read off what a store returns with the candidates; `search/weights.json` has the
weights.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from math import log, log1p

from codequarry.search import features, mentions
from codequarry.search.feature_set import Feature, FeatureSet
from codequarry.search.features import Question
from codequarry.search.issue import CODE, LOG, PROSE, QUOTED, TITLE, Issue, read
from codequarry.search.issue_terms import counted, weighed_terms
from codequarry.search.pool import Ranked

_TOLD = (TITLE, QUOTED, PROSE)  # what a person wrote, as against what was pasted
_PLAIN = 0.3  # what a name counts that could be an English word
_MOST_TOLD = 4  # a name counts as the square root of how often it is told, up to so many times
_NO_SEGMENTS = frozenset(("", ".", "..", "~"))


@lru_cache(maxsize=20_000)
def _segments(path: str) -> tuple[str, ...]:
    return tuple(path.split("/"))


@lru_cache(maxsize=20_000)
def _folder_terms(path: str) -> frozenset[str]:
    return frozenset(term for folder in path.split("/")[:-1] for term in features.name_terms(folder))


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


class Facts:
    """A file with what several features need; `place` is its number among the files found."""

    __slots__ = ("defined", "file", "name_terms", "path", "place", "pool", "stem", "sums")

    def __init__(self, file: Ranked, place: int) -> None:
        self.file, self.place = file, place
        self.pool: Pool
        self.path = file.best.candidate.path
        self.stem = features.stem_of(self.path)
        self.sums = sorted([found.bm25 for found in file.chunks], reverse=True)
        self.defined: dict[
            str, list[tuple[str, str]]
        ] = {}  # each name it defines: as it is written, and its breadcrumb
        for found in file.chunks:
            breadcrumb = found.candidate.breadcrumb
            for symbol in found.candidate.symbols:
                self.defined.setdefault(features.last_name(symbol.name), []).append((symbol.name, breadcrumb))
        self.name_terms = frozenset().union(*map(features.name_terms, self.defined))


class Pool:
    """What a file is compared with: the text, and the other files that were found."""

    def __init__(self, question: Question, found: Sequence[Facts]) -> None:
        issue = read(question.text)
        asked = frozenset(question.terms)
        self.issue = issue
        self.most = max([facts.sums[0] for facts in found], default=0.0) or 1.0
        self.most_sum = max([sum(facts.sums) for facts in found], default=0.0) or 1.0
        self.definers = Counter(
            name for facts in found if features.TEST not in facts.file.roles for name in facts.defined
        )
        self.title = frozenset(counted(issue, TITLE)) & asked
        self.prose = frozenset(counted(issue, PROSE)) & asked
        self.names = self._weighed_names(issue)
        self.told = self._told(issue, asked, found)
        self.links = _by_path([link.path for link in issue.links], found)
        framed = {frame.path for frame in issue.frames}
        self.paths = _by_path([path for path in issue.paths if path not in framed], found)
        self.frames = _by_frame(issue, found)

    def _weighed_names(self, issue: Issue) -> dict[str, dict[str, float]]:
        """What each identifier counts, by where it stands: more when told often, less when many files define it."""
        told = Counter(re.findall(r"\w+", f"{issue.title}\n{issue.prose}"))
        names: dict[str, dict[str, float]] = defaultdict(dict)
        for name, where in issue.names:
            if definers := self.definers[name]:
                worth = 1.0 if mentions.is_shaped(name) or (name[0].isupper() and where != TITLE) else _PLAIN
                names[where][name] = worth * min(told[name] or 1, _MOST_TOLD) ** 0.5 / definers
        return names

    def _told(self, issue: Issue, asked: Collection[str], found: Sequence[Facts]) -> dict[str, float]:
        """The share of each term in all that is asked, those that few files have in a defined name counting more."""
        code = [facts for facts in found if not facts.file.roles]
        have = Counter(term for facts in code for term in facts.name_terms)
        worth = {
            term: weight * log(1 + len(code) / (1 + have[term]))
            for term, weight in weighed_terms(issue).items()
            if term in asked
        }
        total = sum(worth.values()) or 1.0
        return {term: value / total for term, value in worth.items()}

    def defined(self, facts: Facts, parts: Iterable[str]) -> float:
        """How many of the names that stand in these parts the file defines, each by what it counts."""
        counts: dict[str, float] = {}
        for part in parts:
            for name, worth in self.names.get(part, {}).items():
                if name in facts.defined:
                    counts[name] = max(worth, counts.get(name, 0.0))
        return log1p(sum(counts.values()))


def _by_path(paths: Iterable[str], found: Sequence[Facts]) -> dict[int, float]:
    """How well each file fits a path that is written, by place: 1 where one of the two is the whole end of the other.

    Shared among files that fit equally well.
    """
    named: dict[str, list[Facts]] = defaultdict(list)
    for facts in found:
        named[_segments(facts.path)[-1]].append(facts)
    fits: dict[int, float] = {}
    for path in paths:
        written = [segment for segment in path.split("/") if segment not in _NO_SEGMENTS]
        for facts, shared, among in _longest(written, named):
            whole = shared in (len(written), len(_segments(facts.path)))
            value = (1.0 if whole else 0.6 if shared > 1 else 0.2) / among
            fits[facts.place] = max(fits.get(facts.place, 0.0), value)
    return fits


def _longest(written: Sequence[str], named: dict[str, list[Facts]]) -> list[tuple[Facts, int, int]]:
    """The files that share most segments with the end of what is written, with how many, and how many files do."""
    candidates = named.get(written[-1], []) if written else []
    shared = [_shared_end(written, _segments(facts.path)) for facts in candidates]
    most = max(shared, default=0)
    best = [facts for facts, count in zip(candidates, shared, strict=True) if count == most]
    return [(facts, most, len(best)) for facts in best]


def _shared_end(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for mine, its in zip(reversed(one), reversed(other), strict=False):
        if mine != its:
            break
        count += 1
    return count


def _by_frame(issue: Issue, found: Sequence[Facts]) -> dict[int, float]:
    """What the files of stack frames get, by place: 1 for the innermost that was found, then 1/2, 1/3."""
    frames = list(issue.frames)
    if frames and frames[-1].path.endswith((".py", ".pyx")):
        frames.reverse()  # Python writes the innermost last, the others first
    values: dict[int, float] = {}
    reached = 0
    for path in dict.fromkeys(frame.path for frame in frames):
        fits = [place for place, value in _by_path([path], found).items() if value >= 0.5]
        for place in fits:
            values.setdefault(place, 1 / (1 + reached))
        reached += bool(fits)
    return values


def prepare(question: Question, files: Sequence[Ranked]) -> list[Facts]:
    """The facts of each file."""
    found = [Facts(file, place) for place, file in enumerate(files)]
    pool = Pool(question, found)
    for facts in found:
        facts.pool = pool
    return found


# -------------------------------------------------------------------------------------------------------------- features


def _chunk(place: int) -> Callable[[Facts], float]:
    def value(facts: Facts) -> float:
        return facts.sums[place] / facts.pool.most if place < len(facts.sums) else 0.0

    return value


def _all_chunks(facts: Facts) -> float:
    return sum(facts.sums) / facts.pool.most_sum


def _likeness(facts: Facts) -> float:
    return max(found.meaning for found in facts.file.chunks)


def _told_names(facts: Facts) -> float:
    return facts.pool.defined(facts, _TOLD)


def _pasted_names(facts: Facts) -> float:
    return facts.pool.defined(facts, (CODE, LOG))


def _member(facts: Facts) -> float:
    """For each dotted name that the file defines with what it belongs to: its container is around it, or is the file's name."""
    pool, total = facts.pool, 0.0
    own = _folded(facts.stem)
    for names in pool.issue.dotted:
        for container, name in pairwise(names):
            around = facts.defined.get(name)
            if around and (container.lower() == own or any(container in where for both in around for where in both)):
                total += 1 / max(1, pool.definers[name])
    return log1p(total)


def _link(facts: Facts) -> float:
    return facts.pool.links.get(facts.place, 0.0)


def _path(facts: Facts) -> float:
    return facts.pool.paths.get(facts.place, 0.0)


def _frame(facts: Facts) -> float:
    return facts.pool.frames.get(facts.place, 0.0)


def _name_told(facts: Facts) -> float:
    name = features.name_terms(facts.stem)
    return len(name & facts.pool.prose) / len(name) if name else 0.0


def _folder(facts: Facts) -> float:
    return float(len(_folder_terms(facts.path) & facts.pool.title))


def _title(facts: Facts) -> float:
    title = facts.pool.title
    return len(title & facts.name_terms) / (len(title) or 1)


def _title_fits(facts: Facts) -> float:
    title, best = facts.pool.title, 0.0
    for name in facts.defined:
        parts = features.name_terms(name)
        if shared := len(parts & title):
            best = max(best, shared * shared / (len(title) * len(parts)))
    return best


def _told(facts: Facts) -> float:
    told = facts.pool.told
    return sum([told[term] for term in facts.name_terms & told.keys()])


def _declaration(facts: Facts) -> float:
    return float(features.DECLARATION in facts.file.roles)


FEATURES: tuple[Feature[Facts], ...] = (
    Feature("best_chunk", "words", "one chunk has the text's words, the rare ones before all", _chunk(0)),
    Feature("second_chunk", "words", "and another has", _chunk(1)),
    Feature("all_chunks", "words", "much of the file was found", _all_chunks),
    Feature("likeness", "vectors", "a chunk means what the title and the prose mean", _likeness),
    Feature("told_names", "names", "the file defines identifiers that a person wrote", _told_names),
    Feature("pasted_names", "names", "the file defines identifiers of pasted code and of frames", _pasted_names),
    Feature("member", "names", "it defines a name together with what the text says it belongs to", _member),
    Feature("link", "paths", "a link leads to the file on its forge", _link),
    Feature("path", "paths", "its path is written in the text", _path),
    Feature("frame", "paths", "the program was in it, the nearer to the failure the better", _frame),
    Feature("name_told", "name", "the prose has the words of the file's name", _name_told),
    Feature("folder", "name", "its folders are named after what the title says", _folder),
    Feature("title_words", "title", "the names it defines have the title's words", _title),
    Feature("title_fits", "title", "one name that it defines has much of the title and little else", _title_fits),
    Feature("told", "title", "the names it defines have the words that weigh most in all of the text", _told),
    Feature("declaration", "role", "signatures only: what is wrong is wrong elsewhere", _declaration),
)  # fmt: skip

LONG = FeatureSet("long", FEATURES, prepare)
"""Features for texts of several lines, or of more words than a question has."""
