"""The ledger of background work, whatever it is kept in: one row a repository, changed by compare-and-set.

A row has everything about a repository: what was registered, the jobs of its sources, and the lease of the one that runs. So one
step decides who may run, what waits, and what a late owner may no longer say. The rules stand here, once: `rows` says what a place
to keep rows must be able to do (SQLite in `embedded/ledger.py`, Elasticsearch in `elastic/work.py`), `rules` how a job changes,
`ledger` and `lease` are `codequarry.ports.Ledger` and `Lease` over them.
"""
