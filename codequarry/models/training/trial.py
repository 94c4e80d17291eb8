"""The search's own task on pairs that a table was not trained on: a sentence, which file's chunk answers?

Chunks of 50 lines with the path's words and their comments, but for the comment that is asked with; nothing else but the cosine.
"""

from __future__ import annotations

import numpy as np

from codequarry.models.training import sources
from codequarry.models.training.contrast import CHUNK, Bags, Floats, bags, embed, window
from codequarry.models.training.corpus import Corpus, Ints

CUT = 10
"""Files' chunks after these do not count."""


class Trial:
    """Questions to packages or repositories: `asked` has their pairs by the package's number; all its files are searched."""

    def __init__(self, corpus: Corpus, asked: dict[int, list[int]]) -> None:
        self.corpus = corpus
        self._rounds: list[tuple[list[tuple[int, int, int]], list[int]]] = []
        for package, pairs in asked.items():
            chunks = [
                (file, low, min(low + CHUNK, size))
                for file in np.flatnonzero(corpus.file_package == package).tolist()
                for size in [int(corpus.lines[file + 1] - corpus.lines[file])]
                for low in range(0, size, CHUNK)
            ]
            self._rounds.append((chunks, pairs))

    @property
    def pairs(self) -> list[int]:
        """The pairs that are asked, in the order of `ndcg`."""
        return [pair for _, asked in self._rounds for pair in asked]

    def ndcg(self, table: Floats, saturation: float, *, words: float = 0.0) -> list[float]:
        """NDCG@10 of each question, with the one file that answers it.

        `words`: what the best match by words (BM25) counts beside the cosine, as in a search; 0.0: vectors alone.
        """
        c, size = self.corpus, len(table)
        scores: list[float] = []
        for chunks, asked in self._rounds:
            texts = [self._text(*chunk, 0, 0) for chunk in chunks]
            vectors = embed(table, bags(texts, size, saturation))
            bm25 = Words(bags(texts, size, 1.0), size) if words else None
            file_of = np.array([chunk[0] for chunk in chunks])
            said = [c.said[c.said_at[pair] : c.said_at[pair + 1]] for pair in asked]
            questions = embed(table, bags(said, size, 1.0))
            for question, terms, pair in zip(questions, said, asked, strict=True):
                file, _, _, _, hidden, shown = c.pairs[pair].tolist()
                similar = vectors @ question
                own = np.flatnonzero(file_of == file)
                changed = [row for row in own.tolist() if chunks[row][1] < shown and chunks[row][2] > hidden]
                again = bags([self._text(*chunks[row], hidden, shown) for row in changed], size, 1.0)
                if changed:
                    similar[changed] = embed(table, Bags(again.ids, again.counts**saturation, again.at)) @ question
                if bm25 is not None:
                    found = bm25.scores(terms)
                    found[changed] = bm25.scores(terms, again)
                    similar += np.float32(words) * found / max(float(np.max(found)), 1e-9)
                best = np.max(similar[own])
                rank = int((similar > best).sum()) + 1
                scores.append(float(1 / np.log2(rank + 1)) if rank <= CUT else 0.0)
        return scores

    def score(self, table: Floats, saturation: float) -> tuple[float, dict[str, float]]:
        """The mean over packages of their NDCG@10, and the mean of each language's questions."""
        scores = self.ndcg(table, saturation)
        by_language: dict[str, list[float]] = {}
        for pair, one in zip(self.pairs, scores, strict=True):
            language = sources.LANGUAGES[self.corpus.file_language[self.corpus.pairs[pair, 0]]]
            by_language.setdefault(language, []).append(one)
        means, at = [], 0
        for _, asked in self._rounds:
            means.append(float(np.mean(scores[at : at + len(asked)])))
            at += len(asked)
        return float(np.mean(means)), {name: float(np.mean(values)) for name, values in sorted(by_language.items())}

    def _text(self, file: int, low: int, high: int, hidden: int, shown: int) -> Ints:
        c = self.corpus
        path = c.paths[c.paths_at[file] : c.paths_at[file + 1]]
        return np.concatenate([*window(c, file, low, high, hidden, shown, True), path])


class Words:
    """BM25 over texts (Robertson and Zaragoza, 2009), with the constants that are usual."""

    def __init__(self, texts: Bags, vocabulary: int) -> None:
        rows = np.repeat(np.arange(len(texts.at) - 1), np.diff(texts.at))
        order = np.argsort(texts.ids, kind="stable")
        self._rows, self._counts = rows[order], texts.counts[order]
        self._at = np.searchsorted(texts.ids[order], np.arange(vocabulary + 1))
        self._lengths = np.bincount(rows, texts.counts, minlength=len(texts.at) - 1)
        self._mean = max(float(self._lengths.mean()), 1.0)

    def scores(self, question: Ints, others: Bags | None = None) -> Floats:
        """The scores of all texts, or of others, of which these are the collection."""
        count = len(self._lengths) if others is None else len(others.at) - 1
        found = np.zeros(count, np.float32)
        if others is not None:
            place = np.repeat(np.arange(count), np.diff(others.at))
            sizes = np.bincount(place, others.counts, minlength=count)
        for term in np.unique(question).tolist():
            low, high = self._at[term], self._at[term + 1]
            rarity = np.log1p((len(self._lengths) - (high - low) + 0.5) / (high - low + 0.5))
            if others is None:
                rows, counts, lengths = self._rows[low:high], self._counts[low:high], self._lengths
            else:
                here = others.ids == term
                rows, counts, lengths = place[here], others.counts[here], sizes
            found[rows] += rarity * counts * 2.2 / (counts + 1.2 * (0.25 + 0.75 * lengths[rows] / self._mean))
        return found
