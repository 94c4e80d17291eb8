"""How a table of term vectors is trained: what making the shipped model and adapting it to a team's code share.

`sources` finds pairs of a sentence and its code, `corpus` keeps them as arrays, `contrast` trains a table on them, `trial`
measures a table on pairs that it never saw. All of it needs NumPy, and is imported by nothing that indexes or searches.
"""
