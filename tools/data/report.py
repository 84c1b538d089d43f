# SPDX-License-Identifier: MIT
"""Sizes and balance of the tasks: one entry a task in the index, and a table of them."""

import collections

import manifest
import taxonomy


def of_task(task, drawn, packages, found, texts):
    """The index entry of a task.

    majority is the share of the most frequent label in the split that results are
    measured on: test for a held-out task, validation for a pool task. texts_seen counts
    examples of that split whose exact text is also in train.
    """
    measured = "test" if taxonomy.is_held_out(task) else "validation"
    counts = {part: collections.Counter(task.members[name] for name in names)
              for part, names in drawn.items()}
    seen = {texts[name] for name in drawn["train"]}
    splits = {}
    for part, names in drawn.items():
        splits[part] = {"examples": len(names),
                        "sources": len({packages[name].source for name in names}),
                        "distinct_texts": len({texts[name] for name in names}),
                        "labels": {label: counts[part][label] for label in task.labels}}
    total = len(drawn[measured])
    return {"name": task.name, "kind": task.kind, "labels": task.labels, "splits": splits,
            "measured_on": measured,
            "majority": max(counts[measured].values()) / total if total else None,
            "texts_seen": sum(texts[name] in seen for name in drawn[measured]),
            "manifest": manifest.coverage(found, packages, task.members)}


def percent(part, whole):
    """A share in per cent with one decimal, "-" where there is no whole."""
    return "%.1f" % (100 * part / whole) if whole else "-"


def table(index):
    """The index as a table for people."""
    head = ("task", "kind", "labels", "train", "valid", "test", "majority %", "seen %",
            "present %", "unchanged %")
    rows = [head]
    for task in index["tasks"]:
        splits, counts = task["splits"], task["manifest"]
        sizes = [str(splits[part]["examples"]) if part in splits else "-"
                 for part in ("train", "validation", "test")]
        total = splits[task["measured_on"]]["examples"]
        rows.append((task["name"], task["kind"], str(len(task["labels"])), *sizes,
                     "-" if task["majority"] is None else "%.1f" % (100 * task["majority"]),
                     percent(task["texts_seen"], total),
                     percent(counts["present"], counts["packages"]),
                     percent(counts["unchanged"], counts["packages"])))
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) if column < 2 else cell.rjust(width)
                       for column, (cell, width) in enumerate(zip(row, widths))).rstrip()
             for row in rows]
    whole = index["manifest"]
    lines.append("form %s, seed %d; manifest: %d packages, %s %% present, %s %% with the same "
                 "text; %d stanzas refused"
                 % (index["form"], index["seed"], whole["packages"],
                    percent(whole["present"], whole["packages"]),
                    percent(whole["unchanged"], whole["packages"]),
                    sum(index["refused_stanzas"].values())))
    return "\n".join(lines)
