"""A measure of the same questions before and after a change: the gain, and whether it is more than chance would give."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from codequarry.search.measures import interval_of_mean, mean


class Compared:
    """A measure of the same questions before and after a change: `before`, `after`, and `repos`, what each was asked of."""

    before: Sequence[float]
    after: Sequence[float]

    @property
    def repos(self) -> Sequence[str]:
        """The repository that each question was asked of."""
        raise NotImplementedError

    @property
    def gain(self) -> float:
        """The mean gain of a question."""
        return mean(self.after) - mean(self.before)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the gain, in pairs. Questions are drawn, since a team's repositories are no sample of others."""
        return interval_of_mean([after - before for before, after in zip(self.before, self.after, strict=True)])

    @property
    def helps(self) -> bool:
        """Whether the gain is more than chance would give."""
        return self.interval[0] > 0

    def by_repository(self) -> dict[str, tuple[int, float, float]]:
        """For each repository its questions, and the means before and after."""
        found = {}
        for repo in sorted(set(self.repos)):
            at = [number for number, name in enumerate(self.repos) if name == repo]
            found[repo] = len(at), mean(self.before[n] for n in at), mean(self.after[n] for n in at)
        return found

    def compared(self) -> dict[str, Any]:
        """The comparison as JSON shows it."""
        return {
            "questions": len(self.before),
            "before": round(mean(self.before), 4),
            "after": round(mean(self.after), 4),
            "gain": round(self.gain, 4),
            "interval": [round(end, 4) for end in self.interval],
            "helps": self.helps,
            "repositories": {
                repo: {"questions": count, "before": round(before, 4), "after": round(after, 4)}
                for repo, (count, before, after) in self.by_repository().items()
            },
        }
