# SPDX-License-Identifier: MIT
"""Draws the examples of a task: which packages go into train, validation and test.

Only names are handled. A package that a machine lacks is left out after the draw
was decided on the manifest's counts, so it moves at most its own place.
"""

import collections

import split
import taxonomy

TRAIN_EXAMPLES = 100
VALIDATION_EXAMPLES = 50
PER_LABEL_MIN = 3


def shares(counts, total):
    """{label: number to draw}: in proportion to counts, but PER_LABEL_MIN where there are.

    Largest remainders win what rounding leaves; the order of ties is by label.
    """
    available = sum(counts.values())
    if available <= total:
        return dict(counts)
    floor = min(PER_LABEL_MIN, total // len(counts))
    drawn = {label: min(count, max(floor, count * total // available))
             for label, count in counts.items()}
    by_remainder = sorted(counts, key=lambda label: (-(counts[label] * total % available), label))
    while sum(drawn.values()) < total:
        for label in by_remainder:
            if drawn[label] < counts[label] and sum(drawn.values()) < total:
                drawn[label] += 1
    while sum(drawn.values()) > total:
        drawn[max(sorted(drawn), key=drawn.get)] -= 1
    return drawn


def stratified(members, names, total, present, *key):
    """Draw total names with label shares kept; names that are not present are passed over."""
    by_label = collections.defaultdict(list)
    for name in names:
        by_label[members[name]].append(name)
    quota = shares({label: len(found) for label, found in by_label.items()}, total)
    drawn = []
    for label, found in by_label.items():
        here = [name for name in split.shuffled(found, *key) if name in present]
        drawn += here[:quota[label]]
    return split.shuffled(drawn, *key)


def draw(task, entries, present, seed, train, test_limit):
    """{"train": [names], "validation": [names], "test": [names]} of a task.

    A pool task is used whole and has no test. The training set of a held-out task is
    drawn by the seed; its test set is the same for all seeds, and a limit takes the
    start of one fixed order.
    """
    parts = collections.defaultdict(list)
    for name in task.members:
        parts[entries[name].split].append(name)
    if not taxonomy.is_held_out(task):
        return {"train": [name for name in split.shuffled(parts["pool"], task.name)
                          if name in present],
                "validation": [name for name in split.shuffled(parts["pool-validation"],
                                                               task.name) if name in present]}
    key = ("draw", str(seed), task.name)
    test = [name for name in split.shuffled(parts["test"], "test", task.name)
            if name in present]
    return {"train": stratified(task.members, parts["adaptation"], train, present, *key),
            "validation": stratified(task.members, parts["adaptation-validation"],
                                     VALIDATION_EXAMPLES, present, *key),
            "test": test[:test_limit]}
