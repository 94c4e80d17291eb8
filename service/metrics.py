"""What the service counts, in Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/.

Written by hand: a counter and a histogram with labels are two small classes, and the values that are read off the ledger and the
store when somebody asks need none.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from threading import Lock

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets of all durations."""

Labels = tuple[str, ...]


class Counter:
    """A number for each combination of labels that only grows."""

    kind = "counter"

    def __init__(self, name: str, help: str, labels: Labels = ()) -> None:
        self.name, self.help, self.labels = name, help, labels
        self._values: dict[Labels, float] = {}
        self._lock = Lock()

    def add(self, *values: str, by: float = 1.0) -> None:
        """Adds to the number of these values of the labels."""
        with self._lock:
            self._values[values] = self._values.get(values, 0.0) + by

    def value(self, *values: str) -> float:
        """The number as it is now."""
        return self._values.get(values, 0.0)

    def lines(self) -> Iterator[str]:
        """The samples."""
        for values, number in sorted(dict(self._values).items()):
            yield sample(self.name, zip(self.labels, values, strict=True), number)


class Gauge(Counter):
    """A number for each combination of labels that is set."""

    kind = "gauge"

    def set(self, number: float, *values: str) -> None:
        """Sets the number of these values of the labels."""
        with self._lock:
            self._values[values] = number


class Histogram:
    """How many durations, in seconds, were at most as long as each bound."""

    kind = "histogram"

    def __init__(self, name: str, help: str, labels: Labels = ()) -> None:
        self.name, self.help, self.labels = name, help, labels
        self._values: dict[Labels, tuple[list[int], float]] = {}
        self._lock = Lock()

    def observe(self, seconds: float, *values: str) -> None:
        """Counts one duration."""
        with self._lock:
            counts, total = self._values.get(values) or ([0] * (len(SECONDS) + 1), 0.0)
            counts[bisect_left(SECONDS, seconds)] += 1
            self._values[values] = (counts, total + seconds)

    def lines(self) -> Iterator[str]:
        """The samples, cumulative as the format wants them."""
        with self._lock:
            known = {values: (list(counts), total) for values, (counts, total) in self._values.items()}
        for values, (counts, total) in sorted(known.items()):
            labels = list(zip(self.labels, values, strict=True))
            below = 0
            for bound, count in zip((*map(str, SECONDS), "+Inf"), counts, strict=True):
                below += count
                yield sample(f"{self.name}_bucket", [*labels, ("le", bound)], below)
            yield sample(f"{self.name}_sum", labels, total)
            yield sample(f"{self.name}_count", labels, below)


class Metrics:
    """Everything that is counted while the service runs."""

    def __init__(self) -> None:
        self.requests = Counter(
            "codequarry_requests_total",
            "Requests answered, by route, method and status.",
            ("route", "method", "status"),
        )
        self.seconds = Histogram("codequarry_request_seconds", "How long requests took, by route.", ("route",))
        self.legs = Histogram("codequarry_search_leg_seconds", "How long each step of a search took.", ("leg",))
        self.refused = Counter(
            "codequarry_refused_total", "Requests refused before any work was done for them, by reason.", ("reason",)
        )
        self.failures = Counter(
            "codequarry_failures_total", "Requests that failed because of something else, by what failed.", ("code",)
        )
        self.tools = Counter(
            "codequarry_mcp_calls_total", "Calls of MCP tools, by tool and outcome.", ("tool", "outcome")
        )
        self.key_used = Gauge(
            "codequarry_key_used_timestamp_seconds", "When an API key was last used, by its id.", ("key",)
        )
        self._all = (self.requests, self.seconds, self.legs, self.refused, self.failures, self.tools, self.key_used)

    def legs_of(self, times_ms: Mapping[str, float]) -> None:
        """Counts the steps of one search."""
        for leg, milliseconds in times_ms.items():
            self.legs.observe(milliseconds / 1000, leg)

    def text(self, gauges: Iterable[str] = ()) -> str:
        """All samples; `gauges` are lines that `gauge` made."""
        lines: list[str] = []
        for metric in self._all:
            lines += [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.kind}", *metric.lines()]
        return "\n".join([*lines, *gauges]) + "\n"


def gauge(name: str, help: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> list[str]:
    """The lines of a value that may go up and down; none where there are no samples."""
    lines = [sample(name, labels.items(), value) for labels, value in samples]
    return [f"# HELP {name} {help}", f"# TYPE {name} gauge", *lines] if lines else []


def sample(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    """One line."""
    shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    number = str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
    return f"{name}{{{shown}}} {number}" if shown else f"{name} {number}"


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return text.encode("utf-8", "backslashreplace").decode()
