"""How well an index answers questions whose answers are known: each is asked as a person would, and its hits are measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from codequarry.errors import BadInput, QuerySyntax
from codequarry.search.labels import Label
from codequarry.search.measures import CUT, interval_of_mean, mean, measured, places, same_path
from codequarry.search.scope import match_repositories
from codequarry.types import Answer, SourceState

MEASURES = ("ndcg", "hit@1", "hit@5", "recall@10")
"""What is shown of each question and of all."""

ENOUGH = 10
"""Questions for which an interval means something."""

Ask = Callable[..., Answer]  # CodeSearch.search


@dataclass(frozen=True, slots=True)
class Judged:
    """A question that was asked: the repository it was asked of ("": all), the paths found, and its measures."""

    label: Label
    repo: str
    paths: tuple[str, ...]
    measures: dict[str, float]

    @property
    def is_missed(self) -> bool:
        """Whether none of the files that answer it is among the hits."""
        return not self.measures["hit@10"]


@dataclass(slots=True)
class Evaluation:
    """All questions that were asked, and those that could not be, each with the reason."""

    judged: list[Judged] = field(default_factory=list)
    left_out: list[tuple[Label, str]] = field(default_factory=list)

    def means(self, chosen: Iterable[Judged] | None = None) -> dict[str, float]:
        """The means of the measures over these questions, or all."""
        rows = list(self.judged if chosen is None else chosen)
        return {name: mean(row.measures[name] for row in rows) for name in MEASURES}

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean NDCG@10, as the questions are a sample of those that people ask; None of too few."""
        return interval_of_mean([row.measures["ndcg"] for row in self.judged]) if len(self.judged) >= ENOUGH else None

    def by_repository(self) -> dict[str, list[Judged]]:
        """The questions by the repository that they were asked of, sorted."""
        found: dict[str, list[Judged]] = defaultdict(list)
        for row in self.judged:
            found[row.repo].append(row)
        return dict(sorted(found.items()))


def repository_of(label: Label, states: Sequence[SourceState]) -> str | None:
    """The name to ask for, "" for all repositories, None when the label's is not indexed."""
    if not label.repos:
        return ""
    known = {state.source.repo for state in states}
    folders = {state.source.folder for state in states if state.source.folder}
    for name in label.repos:
        if found := match_repositories(name, known):
            return next(iter(found)) if len(found) == 1 else name
        if match_repositories(name, folders):
            return name
    return None


def evaluate(labels: Sequence[Label], states: Sequence[SourceState], ask: Ask) -> Evaluation:
    """What `ask` finds for each question, measured.

    Raises:
        BadInput: a question that cannot be read as a query, with its place; none whose repository is indexed.
    """
    found = Evaluation()
    for label in labels:
        repo = repository_of(label, states)
        if repo is None:
            found.left_out.append((label, f"{label.repos[0]} is not indexed"))
            continue
        try:
            within = {"repo": repo} if repo else {}
            answer = ask(label.question, limit=CUT, refresh=False, plain=label.plain, **within)
        except QuerySyntax as error:
            raise BadInput(f"{label.where}: the question cannot be read: {error.message}", hint=error.hint) from error
        paths = tuple(shown.path for hit in answer.hits for shown in (hit, *hit.related))
        found.judged.append(Judged(label, repo, paths, measured(label.targets, places(answer.hits))))
    if not found.judged:
        _, why = found.left_out[0]
        raise BadInput(
            f"none of these questions can be asked: {why}", hint="codequarry repositories lists what is indexed"
        )
    return found


def unknown_targets(found: Evaluation, paths_of: Callable[[str], set[str]] | None) -> list[tuple[Judged, str]]:
    """The targets that no indexed file is, which no search can find: often a path that has moved or is misspelt.

    `paths_of` gives the paths of a repository; None where they cannot be had, and then nothing is known to be missing.
    """
    if paths_of is None:
        return []
    missing: list[tuple[Judged, str]] = []
    for repo, judged in found.by_repository().items():
        by_name: dict[str, list[str]] | None = None
        for row in judged:
            for path in dict.fromkeys(target["path"] for target in row.label.targets):
                if any(same_path(path, one) for one in row.paths):
                    continue
                if by_name is None:
                    by_name = defaultdict(list)
                    for known in paths_of(repo):
                        by_name[known.rsplit("/", 1)[-1]].append(known)
                if not any(same_path(path, known) for known in by_name.get(path.rsplit("/", 1)[-1], ())):
                    missing.append((row, path))
    return missing
