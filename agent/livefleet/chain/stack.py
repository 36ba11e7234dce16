"""Python's recursion limit as it was: py_ecc, which the Ethereum libraries import, raises it to 100,000.

With that a peer's JSON of many brackets, which json.loads reads by recursion in C, overflows the stack and ends the
process by a segmentation fault in place of a RecursionError. Nothing here computes on curves so deeply.
"""

import sys

import py_ecc  # noqa: F401 -- now, so that no later import raises the limit again

__all__: list[str] = []

_LIMIT = 1000  # CPython's own

sys.setrecursionlimit(_LIMIT)
