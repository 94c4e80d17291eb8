"""What a short question says about a file, as numbers: the features by which files are ordered for questions of a few words.

Each feature is a small function of one `Facts`, with its reason. All of it is read off what a store returns with the candidates:
scores, paths, defined names. A feature is worth what its weight says (`search/weights.json`); `bench/fit.py` finds the weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import log
from typing import NamedTuple

from codequarry import text
from codequarry.search import features
from codequarry.search.feature_set import Feature, FeatureSet
from codequarry.search.features import Question
from codequarry.search.pool import Ranked

_HEAD_LINES = 40
_HEADERS = (".h", ".hh", ".hpp", ".hxx", ".inl")
_SCALE = 10.0  # BM25 is some tens: weights are easier to read when all features are about one
_ACRONYMS = (3, 4, 5)  # of how many words


# ---------------------------------------------------------------------------------------------------- what is looked at


class Path(NamedTuple):
    """What a path says, its words stemmed."""

    words: tuple[str, ...]  # of the file's name, unstemmed; of its folder where the name says nothing (index.ts)
    stems: tuple[str, ...]
    whole: str  # the words without what separates them
    own: tuple[str, ...]  # words of the file's own name
    folders: frozenset[str]
    depth: int


@lru_cache(maxsize=20_000)
def path_of(path: str) -> Path:
    """The words of a path."""
    *folders, name = path.split("/")
    stem = features.stem_of(path)
    words = text.parts(stem)
    return Path(
        words,
        text.stems(stem),
        "".join(words),
        text.parts(name.split(".", 1)[0] or name),
        frozenset([stem for folder in folders for stem in text.stems(folder)]),
        len(folders),
    )


@lru_cache(maxsize=20_000)
def _name_stems(name: str) -> tuple[str, ...]:
    return text.stems(features.last_name(name))


class Asked:
    """The words of a question in order: those that were asked for, each with its stem and its place."""

    __slots__ = ("acronyms", "beginnings", "by_letter", "count", "joined", "names", "places", "question", "words")

    def __init__(self, question: Question) -> None:
        asked = frozenset(question.terms)
        written = text.words(question.text)
        telling = [word for word in written if word.lower() not in text.STOP_WORDS] or written
        pairs = [(part, text.terms(part)) for word in telling for part in text.parts(word)]
        pairs = [(part, stem) for part, stem in pairs if stem in asked]
        self.question = question
        self.words = [part for part, _ in pairs]
        self.places: dict[str, int] = {}
        for place, (_, stem) in enumerate(pairs):
            self.places.setdefault(stem, place)
        self.beginnings = tuple({text.beginning(stem) for stem in self.places})
        self.count = len(self.places) or 1
        self.by_letter: dict[str, set[str]] = {}
        for word in self.words:
            self.by_letter.setdefault(word[0], set()).add(word)
        # Words that stand for a name: a plain word alone, else one that is no plain word.
        alone = len(question.words) == 1
        self.names = frozenset([word for word in question.words if alone or not word.islower() or "_" in word])
        self.joined = frozenset([*self.words, *map("".join, zip(self.words, self.words[1:], strict=False))])
        everything = [part for word in written for part in text.parts(word)]
        self.acronyms = frozenset(
            "".join(word[0] for word in words[at : at + size])
            for words in (everything, self.words)
            for size in _ACRONYMS
            for at in range(len(words) - size + 1)
        )


class Pool:
    """What a file is compared with: the question and the other files that were found."""

    __slots__ = ("asked", "best_cosine", "best_words", "files", "languages", "names", "shallowest")

    def __init__(self, question: Question, files: Sequence[Ranked]) -> None:
        candidates = [found.candidate for file in files for found in file.chunks]
        self.asked = Asked(question)
        self.files = len(files)
        self.best_words = max([found.bm25 for file in files for found in file.chunks], default=0.0) or 1.0
        self.best_cosine = max([one.cosine or 0.0 for one in candidates], default=0.0) or 1.0
        paths = [path_of(file.best.candidate.path) for file in files]
        self.shallowest = min([path.depth for path in paths], default=0)
        self.names = Counter([path.stems for path in paths])
        self.languages = Counter([file.best.candidate.language for file in files])


class Facts:
    """A file with what several features need."""

    __slots__ = ("cosines", "defined", "file", "named", "path", "pool", "sums", "unwanted")

    def __init__(self, pool: Pool, file: Ranked) -> None:
        places, beginnings = pool.asked.places, pool.asked.beginnings
        self.pool = pool
        self.file = file
        self.unwanted = file.roles and file.roles - pool.asked.question.wanted
        self.path = path_of(file.best.candidate.path)
        self.named = [stem for stem in self.path.stems if stem in places]  # words of its name that the question has
        self.sums = [found.bm25 for found in file.chunks]
        self.cosines = [found.candidate.cosine or 0.0 for found in file.chunks]
        if len(file.chunks) > 1:
            self.sums.sort(reverse=True)
            self.cosines.sort(reverse=True)
        # Of each defined name with a word of the question: its words, those of them that the question has.
        self.defined: list[tuple[tuple[str, ...], list[str]]] = []
        for found in file.chunks:
            for name in features.names_with(found.candidate, beginnings):
                stems = _name_stems(name)
                if shared := [stem for stem in stems if stem in places]:
                    self.defined.append((stems, shared))


def prepare(question: Question, files: Sequence[Ranked]) -> list[Facts]:
    """The facts of each file."""
    pool = Pool(question, files)
    return [Facts(pool, file) for file in files]


# ----------------------------------------------------------------------------------------------------------------- words


def _body(facts: Facts) -> float:
    return max([found.candidate.content for found in facts.file.chunks]) / _SCALE


def _coherence(facts: Facts) -> float:
    return sum([score / place for place, score in enumerate(facts.sums, 1)]) / facts.pool.best_words


# --------------------------------------------------------------------------------------------------------------- vectors


def _likeness(facts: Facts) -> float:
    return facts.cosines[0] / facts.pool.best_cosine


def _mean_likeness(facts: Facts) -> float:
    return sum(facts.cosines) / len(facts.cosines)


def _summed_likeness(facts: Facts) -> float:
    return sum([cosine / place for place, cosine in enumerate(facts.cosines[:6], 1)])


# ------------------------------------------------------------------------------------------------------------- file name


def _name_share(facts: Facts) -> float:
    return len(facts.named) / (len(facts.path.stems) or 1)


def _name_rest(facts: Facts) -> float:
    return float(len(facts.path.stems) - len(facts.named))


def _name_joined(facts: Facts) -> float:
    return float(len(facts.path.whole) > 1 and facts.path.whole in facts.pool.asked.joined)


def _name_first(facts: Facts) -> float:
    if not facts.named:
        return 0.0
    places = facts.pool.asked.places
    return 1 / (1 + min([places[stem] for stem in facts.named]))


def _name_last(facts: Facts) -> float:
    if not facts.named:
        return 0.0
    asked = facts.pool.asked
    return (1 + max([asked.places[stem] for stem in facts.named])) / asked.count


def _name_abbreviates(facts: Facts) -> float:
    places, by_letter = facts.pool.asked.places, facts.pool.asked.by_letter
    best = 0.0
    for word, stem in zip(facts.path.words, facts.path.stems, strict=False):
        if word[0] in by_letter and stem not in places:
            best = max(best, *[abbreviation(word, other) for other in by_letter[word[0]]])
    return best / (len(facts.path.stems) or 1)


@lru_cache(maxsize=50_000)
def abbreviation(one: str, other: str) -> float:
    """1 where one word is the beginning of the other (config, configuration), .8 for its consonants (ctx, context), else 0."""
    short, long = (one, other) if len(one) <= len(other) else (other, one)
    if short == long or len(short) < 2 or short[0] != long[0]:
        return 0.0
    if len(short) >= 3 and long.startswith(short):
        return 1.0
    if len(short) <= 4 and len(long) >= len(short) + 3 and not set(short[1:]) & set("aeiou"):
        rest = iter(long)
        return 0.8 if all(letter in rest for letter in short) else 0.0
    return 0.0


def _name_acronym(facts: Facts) -> float:
    acronyms = facts.pool.asked.acronyms
    return float(facts.path.whole in acronyms or any(len(word) > 2 and word in acronyms for word in facts.path.own))


def _name_shared(facts: Facts) -> float:
    return log(facts.pool.names[facts.path.stems]) if facts.path.stems else 0.0


def _name_defined(facts: Facts) -> float:
    whole = facts.path.whole
    size = len(whole)
    for found in facts.file.chunks:
        for symbol in found.candidate.symbols:
            name = symbol.name
            if len(name) >= size and _folded(name) == whole:
                return 1.0
    return 0.0


@lru_cache(maxsize=20_000)
def _folded(name: str) -> str:
    return features.last_name(name).lower().replace("_", "")


# ---------------------------------------------------------------------------------------------------------------- folder


def _folder_names(facts: Facts) -> float:
    asked = facts.pool.asked
    return len(facts.path.folders.intersection(asked.places).difference(facts.named)) / asked.count


def _below(facts: Facts) -> float:
    return float(facts.path.depth - facts.pool.shallowest)


# --------------------------------------------------------------------------------------------------------- defined names


def _symbol_fits(facts: Facts) -> float:
    count = facts.pool.asked.count
    return max([len(set(shared)) * len(shared) / (count * len(stems)) for stems, shared in facts.defined], default=0.0)


def _symbol_first(facts: Facts) -> float:
    if not facts.defined:
        return 0.0
    place = facts.pool.asked.places.__getitem__
    return max([len(shared) / len(stems) / (1 + min(map(place, shared))) for stems, shared in facts.defined])


def _symbol_written(facts: Facts) -> float:
    names = facts.pool.asked.names
    if names:
        for found in facts.file.chunks:
            if found.candidate.names:
                for symbol in found.candidate.symbols:
                    if features.last_name(symbol.name) in names:
                        return 1.0
    return 0.0


# ----------------------------------------------------------------------------------------------------------- kind of file


def _header(facts: Facts) -> float:
    return float(facts.file.best.candidate.path.endswith(_HEADERS))


def _head(facts: Facts) -> float:
    return float(min([found.candidate.start_line for found in facts.file.chunks]) < _HEAD_LINES)


def _language(facts: Facts) -> float:
    return log(facts.pool.languages[facts.file.best.candidate.language] / facts.pool.files)


def _role(*roles: str) -> Callable[[Facts], float]:
    several = frozenset(roles)
    return lambda facts: 0.0 if several.isdisjoint(facts.unwanted) else 1.0


def _history(facts: Facts) -> float:
    return float(features.DOCS in facts.unwanted and features.is_history(facts.file.best.candidate))


FEATURES: tuple[Feature[Facts], ...] = (
    Feature("body", "words", "the best chunk has the question's words, the rare ones before all", _body),
    Feature("coherence", "words", "several chunks of the file answer", _coherence),
    Feature("likeness", "vectors", "the nearest chunk, as a share of the nearest of all", _likeness),
    Feature("mean_likeness", "vectors", "all that was found in the file is near, not one chance chunk", _mean_likeness),
    Feature("summed_likeness", "vectors", "several chunks are near", _summed_likeness),
    Feature("name_share", "name", "the file is named after what the question asks", _name_share),
    Feature("name_rest", "name", "words of the name that the question has not make it the name of another thing", _name_rest),
    Feature("name_joined", "name", "web socket is asked for, websocket is the file", _name_joined),
    Feature("name_first", "name", "what a question names first is its subject", _name_first),
    Feature("name_last", "name", "a word that comes late in the question is a detail of it", _name_last),
    Feature("name_abbreviates", "name", "files are named short: config, ctx, auth", _name_abbreviates),
    Feature("name_acronym", "name", "neighbouring words are named by their first letters: cors, sse, csrf", _name_acronym),
    Feature("name_shared", "name", "a name that many of the found files have tells little", _name_shared),
    Feature("name_defined", "name", "the file defines the thing it is named after", _name_defined),
    Feature("folder_names", "folder", "its folders are named after what its name does not say", _folder_names),
    Feature("below", "folder", "core files lie high, compared with the others that were found", _below),
    Feature("symbol_fits", "symbols", "one defined name has much of the question and little else", _symbol_fits),
    Feature("symbol_first", "symbols", "a defined name is the question's subject", _symbol_first),
    Feature("symbol_written", "symbols", "a name stands in the question as it is written in the code", _symbol_written),
    Feature("header", "file", "headers declare, the question is about what is done", _header),
    Feature("head", "file", "the beginning of a file says what it is about, and it was found", _head),
    Feature("language", "file", "code in the language of the others that were found is the main code", _language),
    Feature("example", "role", "examples use a thing and do not make it", _role(features.EXAMPLE)),
    Feature("benchmark", "role", "so do benchmarks", _role(features.BENCH)),
    Feature("docs", "role", "questions are about code unless they name documents", _role(features.DOCS)),
    Feature("config", "role", "settings name what others do", _role(features.CONFIG)),
    Feature("vendored", "role", "copied from elsewhere", _role(features.VENDORED)),
    Feature("generated", "role", "made by a tool from the real source", _role(*features.MADE_BY_TOOLS)),
    Feature("declaration", "role", "signatures only", _role(features.DECLARATION)),
    Feature("history", "role", "a change log has every word and explains nothing", _history),
)  # fmt: skip

SHORT = FeatureSet("short", FEATURES, prepare)
"""Features for questions of a few words, in one line."""
