"""Templates to HTML. Everything that is put into one is escaped; names are shown with what does not print written out."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Any

from codequarry import __version__
from codequarry.search.query import PLAIN_HINT
from codequarry.service.progress import ago
from codequarry.service.terminal import printable
from codequarry.service.web import assets
from codequarry.service.web.address import with_query

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from codequarry.types import SourceState


def html(template: str, **given: Any) -> str:
    """A template with these values, as text that is always UTF-8."""
    made = _templates().get_template(template).render(**given)
    return made.encode("utf-8", "backslashreplace").decode("utf-8")


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("codequarry.service.web"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    made.filters |= {
        "name": printable,
        "prose": prose,
        "since": since,
        "size": size,
        "hex": lambda commit: commit[:8],
        "branch": branch,
    }
    made.globals |= {"asset": assets.url, "with_query": with_query, "version": __version__, "plain_hint": PLAIN_HINT}
    return made


def prose(text: str) -> Markup:
    """A sentence as HTML: what stands between backticks in it is code."""
    from markupsafe import Markup, escape

    parts = printable(text).split("`")
    if len(parts) % 2 == 0:
        return escape("`".join(parts))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if at % 2 else escape(part) for at, part in enumerate(parts)
    )


def branch(state: SourceState) -> str:
    """What a source is called among those of its repository: its branch, or the folder that is no branch's."""
    return state.head or state.source.folder or state.source.branch


def since(at: float) -> str:
    """How long ago a time in Unix seconds was."""
    return ago(max(0.0, time.time() - at)) if at else "never"


def size(count: float) -> str:
    """So many bytes, for people."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
