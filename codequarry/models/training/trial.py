"""The search's own task on pairs that a table was not trained on: a sentence, which file's chunk answers?

Chunks of 50 lines with the path's words and their comments, but for the comment that is asked with; nothing else but the cosine.
"""

from __future__ import annotations

import numpy as np

from codequarry.models.training import sources
from codequarry.models.training.contrast import CHUNK, Floats, bags, embed, window
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
                (int(file), low, min(low + CHUNK, size))
                for file in np.flatnonzero(corpus.file_package == package)
                for size in [int(corpus.lines[file + 1] - corpus.lines[file])]
                for low in range(0, size, CHUNK)
            ]
            self._rounds.append((chunks, pairs))

    @property
    def pairs(self) -> list[int]:
        """The pairs that are asked, in the order of `ndcg`."""
        return [pair for _, asked in self._rounds for pair in asked]

    def ndcg(self, table: Floats, saturation: float) -> list[float]:
        """NDCG@10 of each question, with the one file that answers it."""
        c, size = self.corpus, len(table)
        scores: list[float] = []
        for chunks, asked in self._rounds:
            texts = [self._text(*chunk, 0, 0) for chunk in chunks]
            vectors = embed(table, bags(texts, size, saturation))
            file_of = np.array([chunk[0] for chunk in chunks])
            said = [c.said[c.said_at[pair] : c.said_at[pair + 1]] for pair in asked]
            questions = embed(table, bags(said, size, 1.0))
            for question, pair in zip(questions, asked, strict=True):
                file, _, _, _, hidden, shown = c.pairs[pair].tolist()
                similar = vectors @ question
                own = np.flatnonzero(file_of == file)
                changed = [row for row in own if chunks[row][1] < shown and chunks[row][2] > hidden]
                if changed:
                    again = [self._text(*chunks[row], hidden, shown) for row in changed]
                    similar[changed] = embed(table, bags(again, size, saturation)) @ question
                best = similar[own].max()
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
