"""Writes a trained table: as `TermEmbedder` loads it, and, near enough, as sentence-transformers and model2vec do.

    python training/code/export.py --cache FOLDER --saved OUT      # OUT/ for both libraries, from what make.py left in FOLDER

Their tokenizers cannot stem or add a whole identifier to its parts: each unstemmed part that the packages have stands in the
vocabulary with the vector of its stem. Nor do they count with saturation: the normalizer marks the last occurrence of each part
(within 3,000 characters), which has its vector in full, all others a quarter of it. What is lost is measured: `--check TREE`
prints the cosine of the exported vectors to ours on 1,000 chunks of a folder's files (needs both libraries).
"""

from __future__ import annotations

import argparse
import json
import random
import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import corpus as corpora
import numpy as np
import registries

from codequarry import text
from codequarry.models.saved import quantise
from codequarry.models.tables import write_table
from codequarry.models.terms import FILES, TermEmbedder
from codequarry.models.training import sources
from codequarry.models.training.contrast import Settings
from codequarry.models.training.corpus import Corpus

SURFACES = 30_000  # unstemmed parts of the exported vocabulary
LAST = "§"  # stands before the last occurrence of a part; both forms are in the vocabulary
REPEATED = 0.25  # what each further occurrence adds: 1 + (n - 1) / 4 stays near the square root of n up to sixteen
SAMPLE = 60_000_000  # bytes of sources that they are counted in


def main() -> None:
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--packages", type=Path, default=here / "packages.tsv")
    parser.add_argument("--model", type=Path, default=here.parents[1] / "codequarry" / "data" / "code")
    parser.add_argument("--saved", type=Path, required=True)
    parser.add_argument("--check", type=Path)
    options = parser.parse_args()
    if not (options.saved / "model.safetensors").exists():
        packages = registries.read_list(options.packages)
        registries.fetch(packages, options.cache)
        save(options.saved, options.model, surfaces(packages))
    if options.check:
        check(options.saved, options.model, options.check)


def write(out: Path, table: np.ndarray, corpus: Corpus, settings: Settings) -> None:
    """Writes the shipped layout: rows.i8, weights.u8, terms.txt, model.json."""
    rows, weights = quantise(table)
    out.mkdir(parents=True, exist_ok=True)
    method = f"contrastive on {len(corpus.pairs)} pairs of {len(corpus.packages)} packages; see training/code/README.md"
    parts = rows.tobytes(), weights.tobytes(), FILES[3], "\n".join(corpus.terms).encode()
    write_table(str(out), "code", *parts, method=method, licence="Apache-2.0")
    size = sum((out / name).stat().st_size for name in FILES)
    near = rows * weights[:, None].astype(np.float32)
    cosine = (near * table).sum(1) / np.maximum(np.linalg.norm(near, axis=1) * np.linalg.norm(table, axis=1), 1e-9)
    print(f"{size / 1e6:.2f} MB in {out}")
    print(f"integer rows against float32: cosine median {np.median(cosine):.5f}, lowest {cosine.min():.5f}")


def surfaces(packages: Iterable[registries.Package]) -> Counter[str]:
    """How often each unstemmed part comes in a sample of the packages' sources."""
    packages = list(packages)
    found: Counter[str] = Counter()
    words: Counter[str] = Counter()
    each = SAMPLE // max(len(packages), 1)
    for package in packages:
        total = 0
        for _, data in registries.files(package, lambda name: bool(sources.language(name))):
            if corpora.usable(data):
                words.update(text.words(data))
                total += len(data)
                if total > each:
                    break
    for word, count in words.items():
        for part in text.parts(word):
            found[part] += count
    return found


def save(out: Path, model: Path, counted: Counter[str]) -> None:
    """Saves the table, float32, as StaticEmbedding and model2vec load it."""
    terms = (model / "terms.txt").read_text(encoding="utf-8").split("\n")
    row = {term: index for index, term in enumerate(terms)}
    table = np.fromfile(model / "rows.i8", np.int8).reshape(len(terms), -1).astype(np.float32)
    table *= np.fromfile(model / "weights.u8", np.uint8)[:, None]
    table /= np.linalg.norm(table, axis=1).mean()
    parts = [part for part, _ in counted.most_common() if text.terms(part) in row][:SURFACES]
    vectors = table[[row[text.terms(part)] for part in parts]]
    tokens = ["[UNK]", *(LAST + part for part in parts), *parts]
    matrix = np.concatenate([np.zeros((1, table.shape[1]), np.float32), vectors, vectors * np.float32(REPEATED)])
    out.mkdir(parents=True, exist_ok=True)
    (out / "0_StaticEmbedding").mkdir(exist_ok=True)
    for folder, name in ((out, "embeddings"), (out / "0_StaticEmbedding", "embedding.weight")):
        (folder / "model.safetensors").write_bytes(_safetensors(name, matrix))
        (folder / "tokenizer.json").write_text(json.dumps(_tokenizer(tokens), ensure_ascii=False), encoding="utf-8")
    modules = [
        {"idx": 0, "name": "0", "path": "0_StaticEmbedding", "type": "sentence_transformers.models.StaticEmbedding"},
        {"idx": 1, "name": "1", "path": "1_Normalize", "type": "sentence_transformers.models.Normalize"},
    ]
    (out / "1_Normalize").mkdir(exist_ok=True)
    (out / "modules.json").write_text(json.dumps(modules, indent=2) + "\n")
    config = {
        "model_type": "model2vec",
        "architectures": ["StaticModel"],
        "normalize": True,
        "hidden_dim": matrix.shape[1],
    }
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def _safetensors(name: str, matrix: np.ndarray) -> bytes:
    data = matrix.astype("<f4").tobytes()
    head = json.dumps({name: {"dtype": "F32", "shape": list(matrix.shape), "data_offsets": [0, len(data)]}}).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + data


def _tokenizer(tokens: list[str]) -> dict[str, object]:
    """Splits as `codequarry.text.parts` does, in lower case, and looks parts up whole."""
    borders = "(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])"
    last = "(?<![^ ])(?=([^ ]+)(?![^ ])(?!.{0,3000}? \\1(?![^ ])))"
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Replace", "pattern": {"Regex": r"[^\p{L}\p{M}\p{N}]+"}, "content": " "},
                {"type": "Replace", "pattern": {"Regex": borders}, "content": " "},
                {"type": "Lowercase"},
                {"type": "Replace", "pattern": {"Regex": last}, "content": LAST},
            ],
        },
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {token: at for at, token in enumerate(tokens)}, "unk_token": "[UNK]"},
    }


def check(saved: Path, model: Path, tree: Path) -> None:
    """Cosines of both libraries' vectors to ours."""
    from model2vec import StaticModel
    from sentence_transformers import SentenceTransformer

    chunks = []
    for path in sorted(tree.rglob("*")):
        if sources.language(path.as_posix()) and path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            chunks += ["\n".join(lines[at : at + 50]) for at in range(0, len(lines), 50)]
    chunks = random.Random(0).sample(chunks, min(1000, len(chunks)))
    ours = np.frombuffer(TermEmbedder(str(model)).embed(chunks), np.int8).reshape(len(chunks), -1).astype(np.float32)
    ours /= np.maximum(np.linalg.norm(ours, axis=1, keepdims=True), 1e-9)
    for name, theirs in (
        ("sentence-transformers", SentenceTransformer(str(saved), device="cpu").encode(chunks)),
        ("model2vec", StaticModel.from_pretrained(saved).encode(chunks, max_length=None)),
    ):
        theirs = theirs / np.maximum(np.linalg.norm(theirs, axis=1, keepdims=True), 1e-9)
        cosine = (ours * theirs).sum(1)
        print(
            f"{name}: cosine to ours on {len(chunks)} chunks, mean {cosine.mean():.4f}, "
            f"5th percentile {np.percentile(cosine, 5):.4f}"
        )


if __name__ == "__main__":
    main()
