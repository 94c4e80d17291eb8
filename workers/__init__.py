"""The Celery workers of a team: `python -m codequarry.workers`. What they do is in `codequarry.ingest.jobs`; here is only how.

__main__.py   the supervisor: starts the pools, keeps them alive, brings hints, and reconciles with the ledger
app.py        Celery's settings, and the two pools
tasks.py      the one task: run a job
"""
