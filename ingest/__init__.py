"""The write path: repos → files → chunks → vectors → store. `pipeline.Pipeline` is the whole of it on one screen.

In the order of the flow: `repos` (with `git` and `worktree`) find what there is, `files` decide what counts, `languages` and
`chunks` cut it, `prepare` adds terms, hashes and vectors, `pool` does that in several processes, `pipeline` hands it to a store.
Nothing is imported here, since a search asks `worktree` alone whether a folder has changed.
"""

RECIPE = "1"
"""Raise it whenever the same bytes give other chunks, terms or breadcrumbs than before: every file is then made anew."""


def recipe(*, generated: bool) -> str:
    """The rules that made a source's files and chunks, as its state has them; `generated`: the linguist rules were left aside.

    What a source was indexed with is what it is kept fresh with.
    """
    return f"{RECIPE}+generated" if generated else RECIPE
