"""Questions as people ask them, drawn from a tree by a fixed seed: its own documentation, names, messages and paths.

words      the first sentence of a comment above a definition, without the name it begins with
symbols    a name that is defined
phrases    a message in quotes, exact
paths      a file's name with a word from it
regexes    a definition or a call, as one would grep for it
"""

from __future__ import annotations

import random
import re
from pathlib import Path

KINDS = ("words", "symbols", "phrases", "paths", "regexes")

_DEFINED = re.compile(r"^[ \t]*(?:func|def|class|type)[ \t]+(?:\([^)\n]*\)[ \t]*)?([A-Za-z_]\w{3,})", re.M)
_GO_COMMENT = re.compile(r"^// ([A-Z]\w+) ((?:[a-z]\S*)(?: \S+){3,10})", re.M)
_DOCSTRING = re.compile(r'"""([A-Z][a-z]+(?: [\w\'-]+){3,10})[.\n]')
_MESSAGE = re.compile(r'["\']([a-z][a-z]+(?: [a-z]+){2,6})["\':]')


def draw(root: Path, count: int = 40, seed: int = 20261124) -> dict[str, list[str]]:
    """`count` questions of each kind in `KINDS`, the same ones each time for the same tree."""
    rng = random.Random(seed)
    files = sorted(
        path for path in root.rglob("*") if path.suffix in (".go", ".py") and path.is_file() and "test" not in str(path)
    )
    rng.shuffle(files)
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for path in files:
        if all(len(questions) >= count for questions in found.values()):
            break
        _collect(found, path, path.read_text(encoding="utf-8", errors="replace"), rng)
    return {kind: questions[:count] for kind, questions in found.items()}


def _collect(found: dict[str, list[str]], path: Path, text: str, rng: random.Random) -> None:
    names = _DEFINED.findall(text)
    sentences = [rest.rstrip(".,:;") for _, rest in _GO_COMMENT.findall(text)] + _DOCSTRING.findall(text)
    messages = _MESSAGE.findall(text)
    if sentences:
        found["words"].append(rng.choice(sentences))
    if names:
        name = rng.choice(names)
        found["symbols"].append(name)
        found["paths"].append(f"{path.stem} {name}" if rng.random() < 0.5 else f"{path.parent.name}/{path.name}")
        found["regexes"].append(
            rng.choice(
                [
                    rf"/(func|def) .*{name}\(/",
                    rf"/\b{name}\(.*\)$/",
                    rf"/{name[:-2]}\w+ *[:=(]/",
                    rf"/(?i)return .*{name}/",
                ]
            )
        )
    if messages:
        found["phrases"].append(f'"{rng.choice(messages)}"')
