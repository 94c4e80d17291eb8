"""Contrastive training of a table of term vectors on pairs of a sentence and the code that it speaks of, with NumPy alone.

Method: a text's vector is the direction of the sum of its terms' vectors; sentence and code of one pair are drawn together, all
other pairings of a batch apart (in-batch negatives, InfoNCE in both directions: van den Oord, Li and Vinyals, 2018; as in CLIP,
Radford et al., 2021), cosine over a temperature, Adam (Kingma and Ba, 2015) on the rows that a batch touches. Half of a batch
are blocks of one package each, which makes its negatives harder. A term that comes often in a code counts less than its number:
BM25's saturation (Robertson and Zaragoza, 2009) for vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codequarry.models.training import sources
from codequarry.models.training.corpus import Corpus, Ints

Floats = NDArray[np.float32]
Longs = NDArray[np.int64]

CHUNK = 50  # lines of a chunk, as the search cuts them


@dataclass(frozen=True)
class Settings:
    """What can be chosen. The defaults are those of the model that ships (training/code/README.md says how they were chosen)."""

    dim: int = 256
    steps: int = 700
    batch: int = 1024
    block: int = 256  # pairs of one package that stand together
    blocked: float = 0.5  # share of a batch made of blocks
    rate: float = 5e-3
    temperature: float = 0.05
    saturation: float = 0.5  # a term that comes n times counts n ** saturation
    path: float = 0.7  # how often the code has the words of its path
    chunk: float = 0.65  # how often the code is the chunk of the file around it, else the definition alone
    remarks: float = 0.5  # how often the code keeps its other comments
    second: float = 0.2  # how often a definition alone gets another one of its file
    drop: float = 0.15  # share of a sentence's terms that is left out
    crop: float = 0.2  # how often only a run of a sentence's terms is kept
    named: float = 0.25  # how often the definition's name stands in for a part of the sentence
    nothing_else: float = 0.0  # how often the name is all that is asked
    language_power: float = 0.5  # a language with n pairs is drawn in proportion to n ** language_power
    lexical: float = (
        0.0  # what the best match by words counts, beside the cosine: vectors then learn what words do not find
    )
    kinds: tuple[float, float, float] = (1.0, 0.5, 2.0)  # weight of definitions, remarks and heads
    seed: int = 0


@dataclass
class Bags:
    """Texts as counts of terms: text i has `ids[at[i]:at[i + 1]]`, each once, with `counts`."""

    ids: Longs
    counts: Floats
    at: Longs


def bags(texts: Sequence[Ints], vocabulary: int, saturation: float) -> Bags:
    """The texts' terms with their numbers, each to the power of `saturation`."""
    rows = np.repeat(np.arange(len(texts), dtype=np.int64), [len(one) for one in texts])
    ids = np.concatenate(texts) if texts else np.zeros(0, np.int32)
    keys, counts = np.unique(rows * vocabulary + ids, return_counts=True)
    at = np.searchsorted(keys, np.arange(len(texts) + 1, dtype=np.int64) * vocabulary)
    return Bags(keys % vocabulary, counts.astype(np.float32) ** np.float32(saturation), at)


def dense(some: Bags, vocabulary: int) -> tuple[Floats, Longs]:
    """The counts as a matrix over the terms that occur, and which those are."""
    seen = np.zeros(vocabulary, bool)
    seen[some.ids] = True
    present = np.flatnonzero(seen)
    column = np.zeros(vocabulary, np.int64)
    column[present] = np.arange(len(present))
    matrix = np.zeros((len(some.at) - 1, len(present)), np.float32)
    matrix[np.repeat(np.arange(len(some.at) - 1), np.diff(some.at)), column[some.ids]] = some.counts
    return matrix, present


def embed(table: Floats, some: Bags, batch: int = 512) -> Floats:
    """Unit vectors, `(texts, dim)`."""
    out = np.zeros((len(some.at) - 1, table.shape[1]), np.float32)
    for start in range(0, len(out), batch):
        stop = min(start + batch, len(out))
        low, high = some.at[start], some.at[stop]
        part = Bags(some.ids[low:high], some.counts[low:high], some.at[start : stop + 1] - low)
        matrix, present = dense(part, len(table))
        out[start:stop] = matrix @ table[present]
    lengths = np.linalg.norm(out, axis=1, keepdims=True)
    return np.asarray(out / np.maximum(lengths, 1e-9), np.float32)


class Batches:
    """Draws batches of pairs and makes their two sides."""

    def __init__(self, corpus: Corpus, settings: Settings, usable: Longs) -> None:
        """`usable`: the pairs that may be drawn, ascending."""
        self.corpus, self.settings, self.usable = corpus, settings, usable
        self.random = np.random.default_rng(settings.seed)
        package = corpus.file_package[corpus.pairs[:, 0]]
        language = corpus.file_language[corpus.pairs[:, 0]].astype(np.int64)
        sizes = np.bincount(language[self.usable], minlength=len(sources.LANGUAGES)).astype(np.float64)
        share = np.where(sizes > 0, np.maximum(sizes, 1) ** (settings.language_power - 1), 0.0)
        weight = share[language[self.usable]] * np.array(settings.kinds)[corpus.pairs[self.usable, 1]]
        self.cumulative = np.cumsum(weight) / weight.sum()
        self.by_package = [self.usable[package[self.usable] == at] for at in range(len(corpus.packages))]
        self.package = package
        order = np.argsort(corpus.pairs[:, 0], kind="stable")
        self.order, self.first = order, np.searchsorted(corpus.pairs[order, 0], np.arange(len(corpus.lines)))

    def draw(self) -> Longs:
        """The pairs of one batch; blocks of one package first."""
        s = self.settings
        drawn: list[Longs] = []
        for _ in range(int(s.batch * s.blocked) // s.block):
            seed_pair = self.usable[np.searchsorted(self.cumulative, self.random.random())]
            mates = self.by_package[self.package[seed_pair]]
            drawn.append(self.random.choice(mates, min(s.block, len(mates)), replace=False))
        rest = s.batch - sum(map(len, drawn))
        drawn.append(self.usable[np.searchsorted(self.cumulative, self.random.random(rest))])
        return np.concatenate(drawn)

    def sides(self, pairs: Longs) -> tuple[list[Ints], list[Ints]]:
        """The terms of each pair's sentence and of its code, cut and mixed anew on each call."""
        return [self._sentence(pair) for pair in pairs], [self._code(pair) for pair in pairs]

    def _sentence(self, pair: int) -> Ints:
        c, s, random = self.corpus, self.settings, self.random
        said = c.said[c.said_at[pair] : c.said_at[pair + 1]]
        name = c.names[c.names_at[pair] : c.names_at[pair + 1]]
        if len(name) > 1 and random.random() < s.nothing_else:
            return name
        if len(said) > 6 and random.random() < s.crop:
            keep = int(random.integers(4, len(said)))
            start = int(random.integers(0, len(said) - keep + 1))
            said = said[start : start + keep]
        if s.drop:
            kept = said[random.random(len(said)) >= s.drop]
            said = kept if len(kept) >= 2 else said
        if len(name) and random.random() < s.named:
            said = np.concatenate([said[: max(2, len(said) // 2)], name])
        return said

    def _code(self, pair: int) -> Ints:
        c, s, random = self.corpus, self.settings, self.random
        file, _, start, end, hidden, shown = c.pairs[pair].tolist()
        size = int(c.lines[file + 1] - c.lines[file])
        remarks = random.random() < s.remarks
        if random.random() < s.chunk or end - start > CHUNK:
            offset = (
                int(random.integers(0, CHUNK))
                if end - start <= CHUNK
                else int(random.integers(-(end - start) + 25, 25))
            )
            low = max(start - offset, 0)
            texts = self._window(file, low, min(low + CHUNK, size), hidden, shown, remarks)
        else:
            texts = self._window(file, start, end, hidden, shown, remarks)
            if random.random() < s.second:
                mates = self.order[self.first[file] : self.first[file + 1]]
                _, _, low, high, _, _ = c.pairs[mates[int(random.integers(len(mates)))]].tolist()
                texts += self._window(file, low, min(high, low + CHUNK), hidden, shown, remarks)
        if random.random() < s.path:
            texts.append(c.paths[c.paths_at[file] : c.paths_at[file + 1]])
        return np.concatenate(texts)

    def _window(self, file: int, low: int, high: int, hidden: int, shown: int, remarks: bool) -> list[Ints]:
        return window(self.corpus, file, low, high, hidden, shown, remarks)


def window(c: Corpus, file: int, low: int, high: int, hidden: int, shown: int, remarks: bool) -> list[Ints]:
    """The terms of lines `[low, high)` of a file; of comments, if at all, those outside `[hidden, shown)`."""
    base = int(c.lines[file])
    texts = [c.code[c.code_at[base + low] : c.code_at[base + high]]]
    if remarks:
        for start, end in ((low, min(high, hidden)), (max(low, shown), high)):
            if start < end:
                texts.append(c.remarks[c.remarks_at[base + start] : c.remarks_at[base + end]])
    return texts


def fit(table: Floats, batches: Batches, tell: Callable[[int, float], None] = lambda step, loss: None) -> None:
    """Trains the table, `(terms, dim)` float32, in place; `tell` is called after each step with its number and the loss."""
    s, size = batches.settings, len(table)
    first, second = np.zeros_like(table), np.zeros_like(table)
    for step in range(s.steps):
        drawn = batches.draw()
        said, code = batches.sides(drawn)
        left, left_terms = dense(bags(said, size, 1.0), size)
        right, right_terms = dense(bags(code, size, s.saturation), size)
        a, b = left @ table[left_terms], right @ table[right_terms]
        known = lexical(left, left_terms, right, right_terms) * np.float32(s.lexical) if s.lexical else None
        loss, grad_a, grad_b = contrast(a, b, batches.corpus.pairs[drawn, 0], s.temperature, known)
        rows = np.union1d(left_terms, right_terms)
        gradient = np.zeros((len(rows), table.shape[1]), np.float32)
        gradient[np.searchsorted(rows, left_terms)] = left.T @ grad_a
        gradient[np.searchsorted(rows, right_terms)] += right.T @ grad_b
        rate = s.rate * (1 - step / s.steps) * min(1.0, (step + 1) / 20)
        adam(table, first, second, rows, gradient, rate, step)
        tell(step + 1, loss)


def lexical(left: Floats, left_terms: Longs, right: Floats, right_terms: Longs) -> Floats:
    """How well words alone find each text of the right for each of the left, `(left, right)`, 1 for the best of a row.

    BM25 of the batch, whose counts are saturated already and whose texts are of like length.
    """
    _, ours, theirs = np.intersect1d(left_terms, right_terms, assume_unique=True, return_indices=True)
    asked, counts = (left[:, ours] > 0).astype(np.float32), right[:, theirs]
    within = (counts > 0).sum(axis=0)
    rarity = np.log1p((len(right) - within + 0.5) / (within + 0.5)).astype(np.float32)
    scores = (asked * rarity) @ (counts / (counts + 1)).T
    return np.asarray(scores / np.maximum(scores.max(axis=1, keepdims=True), 1e-9), np.float32)


def contrast(
    a: Floats, b: Floats, file: NDArray[Any], temperature: float, known: Floats | None = None
) -> tuple[float, Floats, Floats]:
    """InfoNCE in both directions and its gradients; pairs of one file are no negatives of each other.

    `known` is added to the cosines: what is known of each pairing without the vectors, which need not say it again.
    """
    length_a = np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-9)
    length_b = np.maximum(np.linalg.norm(b, axis=1, keepdims=True), 1e-9)
    ua, ub = a / length_a, b / length_b
    logits = (ua @ ub.T if known is None else ua @ ub.T + known) / temperature
    same = file[:, None] == file[None, :]
    np.fill_diagonal(same, False)
    logits[same] = -1e9
    n = len(a)
    grad = np.zeros_like(logits)
    loss = 0.0
    for axis in (1, 0):
        exp = np.exp(logits - logits.max(axis=axis, keepdims=True))
        share = exp / exp.sum(axis=axis, keepdims=True)
        loss -= float(np.log(np.maximum(np.diagonal(share), 1e-12)).mean()) / 2
        grad += share
    grad[np.arange(n), np.arange(n)] -= 2
    grad /= np.float32(2 * n * temperature)
    grad_ua, grad_ub = grad @ ub, grad.T @ ua
    grad_a = (grad_ua - ua * (grad_ua * ua).sum(axis=1, keepdims=True)) / length_a
    grad_b = (grad_ub - ub * (grad_ub * ub).sum(axis=1, keepdims=True)) / length_b
    return loss, np.asarray(grad_a, np.float32), np.asarray(grad_b, np.float32)


def adam(table: Floats, first: Floats, second: Floats, rows: Longs, gradient: Floats, rate: float, step: int) -> None:
    """One step on some rows; the moments of the others stand still."""
    one = first[rows] * 0.9 + gradient * 0.1
    two = second[rows] * 0.999 + gradient * gradient * 0.001
    first[rows], second[rows] = one, two
    scale = rate * (1 - 0.999 ** (step + 1)) ** 0.5 / (1 - 0.9 ** (step + 1))
    table[rows] -= np.float32(scale) * one / (np.sqrt(two) + 1e-8)
