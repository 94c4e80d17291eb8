"""The write path: repos → files → chunks → vectors → store. `pipeline.Pipeline` is the whole of it on one screen.

In the order of the flow: `repos` (with `git` and `worktree`) find what there is, `files` decide what counts, `languages` and
`chunks` cut it, `prepare` adds terms, hashes and vectors, `pool` does that in several processes, `pipeline` hands it to a store.
Nothing is imported here, since a search asks `worktree` alone whether a folder has changed.
"""
