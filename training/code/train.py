"""Trains the table of the shipped model on the corpus, and measures it on packages that were held out.

The method is that of `codequarry.models.training.contrast`, which adapting the model to a team's code shares.
"""

from __future__ import annotations

import time

import numpy as np
from corpus import excluded
from numpy.typing import NDArray

from codequarry.models.training import sources
from codequarry.models.training.contrast import Batches, Floats, Longs, Settings, fit
from codequarry.models.training.corpus import Corpus
from codequarry.models.training.trial import Trial

HELD_OUT = 12  # one package in so many is never trained on


def held_out(corpus: Corpus) -> NDArray[np.bool_]:
    """Which packages are never trained on: the same ones whatever the settings, in every registry."""
    from hashlib import blake2b

    def digest(key: str) -> int:
        return int.from_bytes(blake2b(key.encode(), digest_size=4).digest(), "big")

    return np.array([digest(key) % HELD_OUT == 0 for key in corpus.packages])


def usable(corpus: Corpus) -> Longs:
    """The pairs that are trained on."""
    file = corpus.pairs[:, 0]
    left_out = np.isin(corpus.file_digest, np.array(sorted(excluded()), np.int64))[file]
    return np.flatnonzero(~held_out(corpus)[corpus.file_package[file]] & (np.diff(corpus.said_at) >= 3) & ~left_out)


def initial(corpus: Corpus, settings: Settings) -> Floats:
    """Random directions, longer for rarer terms: a random projection of inverse document frequencies."""
    random = np.random.default_rng(1_000)  # one beginning for all seeds, so that their tables can be averaged
    table = random.standard_normal((len(corpus.terms), settings.dim), np.float32) / np.float32(settings.dim**0.5)
    rarity = np.log(corpus.counts.sum() / np.maximum(corpus.counts, 1))
    return np.asarray(table * (rarity / rarity.mean())[:, None], np.float32)


def train(corpus: Corpus, settings: Settings, *, every: int = 100) -> Floats:
    """The trained table, `(terms, dim)` float32."""
    table, began, losses = initial(corpus, settings), time.process_time(), list[float]()

    def tell(step: int, loss: float) -> None:
        losses.append(loss)
        if every and step % every == 0:
            spent = time.process_time() - began
            print(f"step {step}: loss {np.mean(losses[-every:]):.3f}, {spent:.0f} CPU s", flush=True)

    fit(table, Batches(corpus, settings, usable(corpus)), tell)
    return table


def trial(corpus: Corpus, *, asked: int = 60, seed: int = 7) -> Trial:
    """Questions to the packages that were held out."""
    random = np.random.default_rng(seed)
    package = corpus.file_package[corpus.pairs[:, 0]]
    words = np.diff(corpus.said_at)
    questions: dict[int, list[int]] = {}
    for at in np.flatnonzero(held_out(corpus)):
        mine = np.flatnonzero((package == at) & (words >= 4) & (corpus.pairs[:, 1] != sources.REMARK))
        heads = mine[corpus.pairs[mine, 1] == sources.HEAD]
        if len(mine) < 20:
            continue
        chosen = random.permutation(mine)[:asked].tolist() + random.permutation(heads)[: asked // 3].tolist()
        questions[int(at)] = sorted(set(chosen))
    return Trial(corpus, questions)
