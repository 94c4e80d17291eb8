"""Features and their weights: how a set of named numbers about a file becomes its score.

There is a set for each form of question (`short`, `long`), since what tells about a file differs. A set computes only the features
that have a weight. Weights stand in `search/weights.json`, by set; each says from what and how it was fitted. A team may have a
file of its own in the same form, which goes before it (`search/tuning.py` writes it).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from codequarry.search.features import Question

if TYPE_CHECKING:
    from codequarry.search.pool import Ranked

WEIGHTS_FILE = __file__.removesuffix("feature_set.py") + "weights.json"
"""The weights that ship."""

F = TypeVar("F")  # what a set's features are given
Read = TypeVar("Read", contravariant=True)  # what one feature reads; a set may give it more


class Feature(NamedTuple, Generic[Read]):
    """One number about a file. `group` is what it is read off; groups can be switched off as a whole."""

    name: str
    group: str
    reason: str
    value: Callable[[Read], float]


@dataclass(frozen=True)
class FeatureSet(Generic[F]):
    """Features that are asked together. `prepare` makes, for each file, what their functions are given."""

    name: str
    features: tuple[Feature[F], ...]
    prepare: Callable[[Question, Sequence[Ranked]], Sequence[F]]

    def rows(self, question: Question, files: Sequence[Ranked]) -> list[list[float]]:
        """The values of all features, a row for each file: what weights are fitted to."""
        values = [feature.value for feature in self.features]
        return [[value(facts) for value in values] for facts in self.prepare(question, files)]

    def shares(
        self, question: Question, files: Sequence[Ranked], weights: Mapping[str, float], off: Collection[str] = ()
    ) -> list[dict[str, float]]:
        """For each file what each feature gives it, weight times value, zeros left out. `off`: names of features or groups."""
        asked = [
            (feature.name, weight, feature.value)
            for feature in self.features
            if (weight := weights.get(feature.name)) and feature.name not in off and feature.group not in off
        ]
        return [
            {name: weight * found for name, weight, value in asked if (found := value(facts))}
            for facts in self.prepare(question, files)
        ]


class Weights(NamedTuple):
    """The weights of a set, by feature, and how they were made. `digest` names them: reports say which weights they judge."""

    values: Mapping[str, float]
    digest: str
    fitted: Mapping[str, Any]


@lru_cache(maxsize=8)
def weights_of(name: str, file: str = WEIGHTS_FILE) -> Weights | None:
    """The weights of a set, None when the file has none."""
    import json

    with open(file, encoding="utf-8") as stream:
        found = json.load(stream).get(name)
    return None if found is None else Weights(found["weights"], found["digest"], found["fitted"])


def tuned_weights(file: str) -> tuple[Mapping[str, Weights], str]:
    """The weights that `codequarry tune` has written to a file, by set, and a note where they are not used, else "".

    None of them where there is no file, where it is that of the weights that ship, or where they were fitted from other weights
    than those that ship now: features may mean something else since. A file that was written anew is read anew.

    Raises:
        SettingsError: it is no file of weights.
    """
    import os

    if file == WEIGHTS_FILE:
        return {}, ""
    try:
        stat = os.stat(file)  # noqa: PTH116  pathlib costs more, and this is asked at each search
    except (FileNotFoundError, NotADirectoryError):
        return {}, ""
    return _tuned(file, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=8)
def _tuned(file: str, *stamp: int) -> tuple[Mapping[str, Weights], str]:
    import json

    from codequarry.errors import SettingsError

    try:
        with open(file, encoding="utf-8") as stream:
            found = {
                name: Weights(
                    {feature: float(weight) for feature, weight in one["weights"].items()},
                    str(one["digest"]),
                    dict(one["fitted"]),
                )
                for name, one in json.load(stream).items()
            }
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SettingsError(
            f"{file} is no file of ranking weights: {type(error).__name__}",
            name="CODEQUARRY_RANKING_WEIGHTS",
            hint="codequarry tune writes one, and tune --reset takes it away",
        ) from error
    for name, weights in found.items():
        shipped = weights_of(name)
        if shipped is None or weights.fitted.get("from") != shipped.digest:
            return {}, (
                f"The ranking weights in {file} were fitted from those of another version, and are not used: "
                "run codequarry tune again, or tune --reset."
            )
    return found, ""


def digest(values: Mapping[str, float]) -> str:
    """12 hex digits that name weights."""
    import json

    from codequarry.text import content_hash

    return content_hash(json.dumps(dict(sorted(values.items()))).encode())[:12]
