"""Exact vectors: what the embedders without torch share, so that NumPy and plain Python give the same bytes.

Only light modules are imported here: a search from the command line pays for what stands at the top of this file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from math import sqrt
from typing import TYPE_CHECKING, Any

from codequarry.text import split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH = 64  # texts to one matrix product: 32 to 64 are fastest, with more the matrix gets sparser
EXACT32 = 1 << 24  # integers up to here are exact in float32
SQUARES64 = 1 << 27  # 256 to 1,024 squares of integers up to here add up within int64


def words(text: str) -> list[bytes]:
    """The words of a text (`codequarry.text.split`)."""
    # The bytes are made here because half a surrogate pair, which JSON can bring, cannot be encoded in the strict way.
    return split(text.encode("utf-8", "replace"))


def unit(sums: Iterable[int]) -> bytes:
    """The unit vector of integers, times 127, rounded half to even, as signed bytes; zeros stay zeros."""
    values = list(sums)
    length = sqrt(sum(value * value for value in values))
    if not length:
        return bytes(len(values))
    return bytes(round(value * 127 / length) & 0xFF for value in values)


def units(sums: NDArray[np.int64]) -> bytes:
    """`unit` of each row, byte for byte: the squares add up as integers, and IEEE 754 leaves no choice in the rest."""
    np = numpy()
    if len(sums) and int(np.abs(sums).max()) >= SQUARES64:
        return b"".join([unit(row) for row in sums.tolist()])
    lengths = np.sqrt((sums * sums).sum(axis=1).astype(np.float64))
    lengths[lengths == 0.0] = 1.0
    return bytes(np.rint(sums * 127 / lengths[:, None]).astype(np.int8).tobytes())


def exact_float(weight: float) -> type[np.float32] | type[np.float64]:
    """The type in which rows of signed bytes, multiplied by integers that add up to `weight`, are summed without loss.

    Every partial sum is an integer no larger than 127 times `weight`: below 2**24 float32 is exact, and float64 to 2**53.
    """
    loaded = numpy()
    exact: type[np.float32] | type[np.float64] = loaded.float32 if weight * 127 < EXACT32 else loaded.float64
    return exact


def digest(*parts: bytes) -> str:
    """Twelve hex digits of the parts and their borders."""
    import hashlib

    whole = hashlib.blake2b(digest_size=6)
    for part in parts:
        whole.update(len(part).to_bytes(8, "little"))
        whole.update(part)
    return whole.hexdigest()


def numpy() -> Any:
    """NumPy, loaded when it is first needed."""
    # OpenBLAS starts a thread for each core when it is loaded; for products of this size they only cost start-up time and
    # fight with the other workers. Only the first import in a process counts, and a user's own setting stands.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import numpy

    return numpy
