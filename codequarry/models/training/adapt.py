"""Adapts the table of the shipped model to the code of one team.

The table begins as the one that ships. A term that the team uses and the table lacks gets a row in a random direction: it is then
found by itself, if by nothing else. A few epochs on pairs of the team's own code (`contrast`) move the rows, with what words find
anyhow added to the cosines, so that the vectors learn the rest (Gao et al., 2021: CLEAR). The result is drawn back towards where
it began (Wortsman et al., 2022: robust fine-tuning by averaging weights). Rows that no pair touches stay byte for byte.

How the constants were chosen is written down in training/code/README.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from codequarry.models.saved import quantise
from codequarry.models.tables import Table
from codequarry.models.training import sources
from codequarry.models.training.contrast import Batches, Floats, Longs, Settings, fit
from codequarry.models.training.corpus import Corpus, Part, join
from codequarry.models.training.trial import Trial

FEWEST = 3
"""How often the team's code must have a term, for a row of its own."""

MOST_TERMS = 20_000
"""Rows of its own, those of the most frequent terms: 5 MB."""

LONGEST = 64
"""Characters of a term that gets a row: longer ones are keys and embedded data."""

ASKED = 1_000
"""Held-out questions that are enough: no further fold is trained for more."""

FOLDS = 4

WORDS = 0.6
"""What the best match by words counts beside the cosine, in training and in the trial: the best there is with the shipped table."""

_SETTINGS = Settings(batch=256, block=128, blocked=0.0, rate=2.6e-3, lexical=WORDS)
_EPOCHS = 10
_STEPS = (60, 600)  # fewest and most
_NEW_LENGTH = 0.9  # of a new row, as a multiple of the mean length of those that ship
_MOVED = 0.75  # of the way from where a row began to where training has brought it

Tell = Callable[[int, int], None]  # steps done, steps in all


@dataclass(frozen=True)
class Beginning:
    """The team's code over the joined vocabulary, and the table before training: that of the model that ships, new rows zero."""

    corpus: Corpus
    table: Floats  # in units of the mean length of the shipped rows
    is_new: NDArray[np.bool_]
    unit: float  # the length of one integer step of the shipped table
    shipped: Table

    @property
    def folds(self) -> NDArray[np.int64]:
        """The fold of each file: all pairs of a file are held out together."""
        return self.corpus.file_digest % FOLDS


def begin(shipped: Table, parts: Sequence[Part]) -> Beginning:
    """Joins the shipped vocabulary and the terms that the parts use often."""
    known = shipped.lines.decode().split("\n")
    counted: Counter[str] = Counter()
    for part in parts:
        counted.update(part.counts())
    for term in known:
        counted.pop(term, None)
    able = (term for term, count in counted.items() if count >= FEWEST and len(term) <= LONGEST)
    new = sorted(able, key=lambda term: (-counted[term], term))[:MOST_TERMS]
    terms = sorted([*known, *new], key=str.encode)
    is_new = np.isin(np.array(terms, object), np.array(new, object))
    table = np.zeros((len(terms), shipped.dim), np.float32)
    rows = np.frombuffer(shipped.rows, np.int8).reshape(-1, shipped.dim)
    table[~is_new] = rows * np.frombuffer(shipped.weights, np.uint8).astype(np.float32)[:, None]
    unit = 1 / float(np.linalg.norm(table[~is_new], axis=1).mean())
    corpus = join(parts, terms, np.zeros(len(terms), np.int64))
    return Beginning(corpus, table * np.float32(unit), is_new, unit, shipped)


@dataclass(frozen=True)
class HeldOut:
    """A question of the trial: numbers of its repository and file, and NDCG@10 with the shipped and with an adapted table.

    `together`: with words beside the vectors, as a search has them; `alone`: by the vectors alone.
    """

    repository: int
    file: int
    together: tuple[float, float]
    alone: tuple[float, float]


def adapt(beginning: Beginning, tell: Tell) -> tuple[list[HeldOut], Floats]:
    """What adapting does for files that were not trained on, and the table adapted to all of them, `(terms, dim)` float32.

    The sentences of files are asked, each with a table that was trained without its file. As many folds are trained as ASKED
    questions take.
    """
    whole = np.ones(len(beginning.folds), bool)
    rounds = [(beginning.folds != fold, pairs) for fold, pairs in _questions(beginning)]
    steps = [_settings(len(_usable(beginning, files)), 0).steps for files in [*(seen for seen, _ in rounds), whole]]
    done = np.cumsum([0, *steps]).tolist()
    found: list[HeldOut] = []
    for at, (files, pairs) in enumerate(rounds):
        found += _ask(beginning, train(beginning, files, _offset(tell, done[at], done[-1])), pairs)
    return found, train(beginning, whole, _offset(tell, done[-2], done[-1]))


def _offset(tell: Tell, before: int, steps: int) -> Tell:
    return lambda done, _: tell(before + done, steps)


def _questions(beginning: Beginning) -> list[tuple[int, Longs]]:
    """The pairs that are asked, by fold: documentation and heads of files, of four words and more."""
    c, found, left = beginning.corpus, [], ASKED
    able = np.flatnonzero((np.diff(c.said_at) >= 4) & (c.pairs[:, 1] != sources.REMARK))
    fold_of = beginning.folds[c.pairs[able, 0]]
    for fold in range(FOLDS):
        mine = np.random.default_rng(fold).permutation(able[fold_of == fold])[:left]
        left -= len(mine)
        if len(mine):
            found.append((fold, np.sort(mine)))
    return found


def _ask(beginning: Beginning, table: Floats, pairs: Longs) -> list[HeldOut]:
    c = beginning.corpus
    by_repository: dict[int, list[int]] = {}
    for pair in pairs.tolist():
        by_repository.setdefault(int(c.file_package[c.pairs[pair, 0]]), []).append(pair)
    trial = Trial(c, by_repository)
    files = c.pairs[trial.pairs, 0].tolist()
    together, alone = (
        zip(*(trial.ndcg(one, _SETTINGS.saturation, words=words) for one in (beginning.table, table)), strict=True)
        for words in (WORDS, 0.0)
    )
    return [
        HeldOut(int(c.file_package[file]), file, both, vectors)
        for file, both, vectors in zip(files, together, alone, strict=True)
    ]


def train(beginning: Beginning, files: NDArray[np.bool_], tell: Tell, *, seed: int = 0) -> Floats:
    """The table adapted to the pairs of these files, `(terms, dim)` float32; `files` has a truth value for each file."""
    c = beginning.corpus
    began = beginning.table.copy()
    seen = beginning.is_new & (counts_of(c, files) >= FEWEST)
    # Drawn for all new terms at once, so that a term's direction does not depend on the files.
    drawn = np.random.default_rng(1_000).standard_normal((int(beginning.is_new.sum()), began.shape[1]), np.float32)
    drawn *= np.float32(_NEW_LENGTH) / np.linalg.norm(drawn, axis=1, keepdims=True)
    began[seen] = drawn[seen[beginning.is_new]]
    usable = _usable(beginning, files)
    settings = _settings(len(usable), seed)
    table = began.copy()
    fit(table, Batches(c, settings, usable), lambda step, _: tell(step, settings.steps))
    return np.asarray(began + np.float32(_MOVED) * (table - began), np.float32)


def _usable(beginning: Beginning, files: NDArray[np.bool_]) -> Longs:
    return np.flatnonzero(files[beginning.corpus.pairs[:, 0]] & (np.diff(beginning.corpus.said_at) >= 3))


def _settings(pairs: int, seed: int) -> Settings:
    batch = min(_SETTINGS.batch, max(pairs // 4, 16))
    steps = min(max(_EPOCHS * pairs // batch, _STEPS[0]), _STEPS[1]) if pairs else 0
    return replace(_SETTINGS, batch=batch, steps=steps, seed=seed)


def counts_of(c: Corpus, files: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """How often each term comes in the code and comments of these files, or all."""
    counts = np.zeros(len(c.terms), np.int64)
    for ids, at in ((c.code, c.code_at), (c.remarks, c.remarks_at)):
        within = ids if files is None else ids[np.repeat(files, np.diff(at[c.lines]))]
        counts += np.bincount(within, minlength=len(c.terms))
    return counts


def as_integers(beginning: Beginning, table: Floats) -> tuple[bytes, bytes, bytes]:
    """Rows, weights and terms as a folder of a model has them; rows that have not moved are those that ship."""
    rows = np.zeros(table.shape, np.int8)
    weights = np.ones(len(table), np.uint8)
    old = ~beginning.is_new
    rows[old] = np.frombuffer(beginning.shipped.rows, np.int8).reshape(-1, table.shape[1])
    weights[old] = np.frombuffer(beginning.shipped.weights, np.uint8)
    moved = (table != beginning.table).any(axis=1)
    rows[moved], weights[moved] = quantise(table[moved], beginning.unit)
    # A new term that no file had often enough has no direction, and needs no row.
    kept = old | rows.any(axis=1)
    terms = "\n".join(term for term, keep in zip(beginning.corpus.terms, kept, strict=True) if keep)
    return rows[kept].tobytes(), weights[kept].tobytes(), terms.encode()
