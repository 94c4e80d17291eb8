"""Why a hit stands where it stands, as bars: the share of each feature in its score, whatever features there are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from codequarry.search.features_long import LONG
from codequarry.search.features_many import MANY
from codequarry.search.features_short import SHORT


@dataclass(frozen=True, slots=True)
class Bar:
    """A share. `start` and `width` are hundredths of the picture's width, in which all bars have the same scale.

    `reason`: what the feature is there for.
    """

    name: str
    value: float
    start: float
    width: float
    reason: str = ""

    @property
    def sign(self) -> str:
        """What it does to the score."""
        return "minus" if self.value < 0 else "plus"


@dataclass(frozen=True, slots=True)
class Why:
    """The picture of an explanation: bars, and what is known of each leg of the search as names and values."""

    bars: list[Bar]
    legs: list[tuple[str, list[tuple[str, str]]]]


def picture(why: Mapping[str, Any]) -> Why | None:
    """The explanation of a hit as a picture, None where there is none."""
    shares = why.get("signals")
    if not isinstance(shares, Mapping):
        return None
    legs = [
        (_name(leg), list(_values(values))) for leg, values in why.items() if leg != "signals" and _is_telling(values)
    ]
    return Why(_bars({str(name): float(value) for name, value in shares.items()}), legs)


def _bars(shares: Mapping[str, float]) -> list[Bar]:
    """The bars, the largest first; those that take away go to the left of a common zero."""
    told = sorted(((name, value) for name, value in shares.items() if value), key=lambda one: -abs(one[1]))
    below = min([value for _, value in told if value < 0], default=0.0)
    above = max([value for _, value in told if value > 0], default=0.0)
    whole = (above - below) or 1.0
    zero = -below / whole * 100
    reasons = _reasons(shares)
    return [
        Bar(
            _name(name),
            value,
            round(zero if value > 0 else zero - abs(value) / whole * 100, 2),
            round(abs(value) / whole * 100, 2),
            reasons.get(name, ""),
        )
        for name, value in told
    ]


def _reasons(names: Collection[str]) -> dict[str, str]:
    """What each feature is there for, by the set that has all of these; nothing where another ranking made the shares."""
    sets = ({feature.name: feature.reason for feature in made.features} for made in (SHORT, MANY, LONG))
    return next((reasons for reasons in sets if reasons.keys() >= set(names)), {})


def _is_telling(values: Any) -> bool:
    return isinstance(values, Mapping) and any(value for value in values.values())


def _values(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if value is not None:
            yield _name(name), f"{value:.3g}" if isinstance(value, float) else str(value)


def _name(name: str) -> str:
    return str(name).replace("_", " ")
