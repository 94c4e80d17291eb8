"""What a short question says about a file where several repositories were found: first of all, which repository is meant.

Nobody names it, HTTP and routing stand in ten of them, and scores of files from different repositories are hard to compare. So
besides the features of one repository (`features_short`) there are some that all files of a repository share, and the weights of
both are fitted to questions that were asked of many repositories at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import log
from typing import NamedTuple

from codequarry.search.feature_set import Feature, FeatureSet
from codequarry.search.features import Question
from codequarry.search.features_short import FEATURES as OF_ONE
from codequarry.search.features_short import Facts, Pool
from codequarry.search.pool import Ranked


class Repository(NamedTuple):
    """What was found in a repository, compared with everything that was found."""

    words: float  # BM25 of its best chunk, 0..1
    share: float  # of the sum of all BM25
    likeness: float  # cosine of its nearest chunk, 0..1
    files: float  # share of the files


class FactsOfMany(Facts):
    """A file with what several features need, its repository included."""

    __slots__ = ("repository",)

    def __init__(self, pool: Pool, file: Ranked, repository: Repository) -> None:
        super().__init__(pool, file)
        self.repository = repository


def prepare(question: Question, files: Sequence[Ranked]) -> list[FactsOfMany]:
    """The facts of each file."""
    pool = Pool(question, files)
    of_repository: dict[str, list[Ranked]] = defaultdict(list)
    for file in files:
        of_repository[file.best.candidate.repo].append(file)
    total = sum([found.bm25 for file in files for found in file.chunks])
    repositories = {}
    for repo, some in of_repository.items():
        sums = [found.bm25 for file in some for found in file.chunks]
        cosines = [found.candidate.cosine or 0.0 for file in some for found in file.chunks]
        repositories[repo] = Repository(
            max(sums) / pool.best_words,
            sum(sums) / total if total else 0.0,
            max(cosines) / pool.best_cosine,
            len(some) / len(files),
        )
    return [FactsOfMany(pool, file, repositories[file.best.candidate.repo]) for file in files]


def _words(facts: FactsOfMany) -> float:
    return facts.repository.words


def _share(facts: FactsOfMany) -> float:
    return log(max(facts.repository.share, 1e-4))


def _likeness(facts: FactsOfMany) -> float:
    return facts.repository.likeness


def _files(facts: FactsOfMany) -> float:
    return log(facts.repository.files)


FEATURES: tuple[Feature[FactsOfMany], ...] = (
    *OF_ONE,
    Feature("repository_words", "repository", "its best chunk has the question's words", _words),
    Feature("repository_share", "repository", "a large repository has something for every question", _share),
    Feature("repository_likeness", "repository", "its nearest chunk is near", _likeness),
    Feature("repository_files", "repository", "many of the files that were found are in this repository", _files),
)

MANY = FeatureSet("many", FEATURES, prepare)
"""Features for short questions where files of several repositories were found."""
