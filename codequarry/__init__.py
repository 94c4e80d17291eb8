"""Codequarry: semantic code search over many repositories.

>>> import codequarry
>>> with codequarry.connect("./index") as quarry:  # doctest: +SKIP
...     quarry.index(".")
...     print(quarry.prompt("where are retries configured?", budget=4000).text)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "Answer": "codequarry.types",
    "CodeSearch": "codequarry.code_search",
    "CodequarryError": "codequarry.errors",
    "FileText": "codequarry.types",
    "Hit": "codequarry.types",
    "Prompt": "codequarry.types",
    "PromptBuilder": "codequarry.search.prompt",
    "Snippet": "codequarry.types",
    "Source": "codequarry.types",
    "connect": "codequarry.api",
}

__all__ = ["__version__", *sorted(_PUBLIC)]

if TYPE_CHECKING:
    from codequarry.api import connect as connect
    from codequarry.code_search import CodeSearch as CodeSearch
    from codequarry.errors import CodequarryError as CodequarryError
    from codequarry.search.prompt import PromptBuilder as PromptBuilder
    from codequarry.types import Answer as Answer
    from codequarry.types import FileText as FileText
    from codequarry.types import Hit as Hit
    from codequarry.types import Prompt as Prompt
    from codequarry.types import Snippet as Snippet
    from codequarry.types import Source as Source


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used: `import codequarry` alone costs next to nothing."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'codequarry' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__
