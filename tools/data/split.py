# SPDX-License-Identifier: MIT
"""Which source goes to which split, and in which order examples are drawn.

Everything is a SHA-256 of names, so that it is the same on every machine, for
every task and whatever else is in the database.
"""

import functools
import hashlib

# Upper bounds in thousandths. Siblings of one source share texts and tags, so a
# source goes whole: half to the pool, a fifth to adaptation, the rest to tests.
# The first two halves keep a tenth and a quarter of theirs apart for validation.
SPLITS = (
    (450, "pool"),
    (500, "pool-validation"),
    (650, "adaptation"),
    (700, "adaptation-validation"),
    (1000, "test"),
)
NAMES = tuple(name for _, name in SPLITS)

# The first number for which every label of every held-out task has at least four
# adaptation and eight test examples in the database that the manifest was made from.
SALT = "0"


def _number(*words):
    """A 64-bit number from words, which must not hold NUL."""
    digest = hashlib.sha256("\0".join(words).encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big")


@functools.lru_cache(maxsize=None)
def split_of(source):
    """Name of the split that a source belongs to."""
    thousandth = _number("split", SALT, source) * 1000 >> 64
    return next(name for bound, name in SPLITS if thousandth < bound)


def shuffled(names, *key):
    """Names in an order that depends on the key and on each name alone.

    A name that is missing on one machine leaves the order of the others as it is.
    """
    return sorted(names, key=lambda name: (_number("order", *key, name), name))
