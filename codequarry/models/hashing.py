"""Feature hashing behind the port `codequarry.ports.Embedder`, for tests."""

from __future__ import annotations

from collections.abc import Sequence

from codequarry.errors import BadInput
from codequarry.models.vectors import digest, unit, words
from codequarry.text import Memo
from codequarry.text import parts as parts_of

_RECIPE = 1  # of the way from text to places to sums; raise it when equal texts begin to have other vectors


class HashEmbedder:
    """Feature hashing: each part of a word adds or subtracts one in eight places that its hash chooses. For tests.

    Texts that share words are near each other, nothing else is. No model file, no NumPy, the same on every machine.
    """

    cached = False

    def __init__(self, dim: int = 256) -> None:
        if not 8 <= dim <= 4096:
            raise BadInput(f"hash:{dim} is not between 8 and 4096 dimensions", hint='write "hash:64"')
        self.dim = dim
        self.name = "hash" if dim == 256 else f"hash:{dim}"
        self.fingerprint = digest(b"hash", str((dim, _RECIPE)).encode())
        self._memo: Memo[bytes, list[int]] = Memo(self._places)

    def embed(self, texts: Sequence[str]) -> bytes:
        """Vectors of documents, `(len(texts), dim)` int8."""
        return b"".join(map(self.embed_question, texts))

    def embed_question(self, text: str) -> bytes:
        """The vector of one text, `(dim,)` int8."""
        sums, memo = [0] * self.dim, self._memo
        for word in words(text):
            for place in memo[word]:
                if place >= 0:
                    sums[place] += 1
                else:
                    sums[~place] -= 1
        return unit(sums)

    def _places(self, whole: bytes) -> list[int]:
        """Where the parts of `word` add one; ~place where they subtract one."""
        import hashlib

        places = []
        for part in parts_of(whole.decode("utf-8", "replace")):
            digest = hashlib.blake2b(part.encode("utf-8", "replace"), digest_size=32).digest()
            for at in range(0, 32, 4):
                number = int.from_bytes(digest[at : at + 4], "little")
                places.append((number >> 1) % self.dim if number & 1 else ~((number >> 1) % self.dim))
        return places
