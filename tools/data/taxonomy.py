# SPDX-License-Identifier: MIT
"""The tasks: which there are, their labels, and which package is an example of which.

A task is made from one facet of the debtags, from a group of sections, or from
one label against the rest. Only names go in and out; texts come later, and a
training set is drawn by sample.py.
"""

import collections

import split

# Never seen by the pool. Near: packages like those of many pool facets. Far: a
# small vocabulary of its own.
HELD_OUT = (("use", "near"), ("works-with", "near"), ("interface", "near"),
            ("suite", "far"), ("field", "far"), ("admin", "far"))

# A facet or label below these is not a task.
EXAMPLES_PER_LABEL_MIN = 30
LABELS_MAX = 10
POOL_EXAMPLES_MIN = 150

# A pool task is a sample: large facets would only take longer, and siblings of one
# source or a label that outweighs all others would teach nothing.
POOL_EXAMPLES_MAX = {"pool": 1500, "pool-validation": 150}
POOL_PER_SOURCE_MAX = 4

# Packages without any tag, told apart by section. Sections whose packages hold a
# kernel version in their name, or that list other packages, change too often.
SECTION_TASKS = (
    ("section-language", ("golang", "haskell", "java", "javascript", "lisp", "ocaml", "perl",
                          "php", "python", "ruby", "rust", "gnu-r", "cli-mono")),
    ("section-network", ("net", "web", "httpd", "mail", "comm")),
    ("section-media", ("graphics", "sound", "video", "fonts")),
    ("section-desktop", ("gnome", "kde", "x11", "games")),
    ("section-science", ("science", "math", "electronics", "hamradio", "gnu-r")),
    ("section-system", ("admin", "utils", "otherosfs", "misc")),
    ("section-writing", ("text", "editors", "localization", "doc")),
    ("section-development", ("devel", "libdevel", "libs", "introspection", "interpreters",
                             "vcs")),
    ("section-tool", ("utils", "devel", "science", "net", "admin", "misc")),
)

# One label of a pool facet against all tagged packages that lack it.
LABEL_TASKS = (
    "role::program", "role::plugin", "role::documentation", "scope::utility",
    "implemented-in::c", "implemented-in::python", "uitoolkit::gtk", "network::server",
    "network::client",
)
REST = "other"

KINDS = ("held-out-near", "held-out-far", "pool-facet", "pool-section", "pool-label")

Task = collections.namedtuple("Task", "name kind labels members")
Task.__doc__ = """kind: one of KINDS. labels: most frequent first. members: {package name:
label}, of the splits that the kind uses."""


def is_held_out(task):
    """Whether the pool must not have seen the task."""
    return task.kind.startswith("held-out")


def splits_used(task):
    """Splits that a task's members may come from."""
    if is_held_out(task):
        return tuple(name for name in split.NAMES if name not in POOL_EXAMPLES_MAX)
    return tuple(POOL_EXAMPLES_MAX)


def facet_examples(packages):
    """{facet: {package name: label}} of packages with one label in the facet."""
    facets = collections.defaultdict(dict)
    for package in packages.values():
        labels = collections.defaultdict(list)
        for tag in package.tags:
            facet, label = tag.split("::", 1)
            labels[facet].append(label)
        for facet, found in labels.items():
            if len(found) == 1:
                facets[facet][package.name] = found[0]
    return facets


def frequent_labels(members):
    """At most LABELS_MAX labels with examples enough, most frequent first."""
    counts = collections.Counter(members.values())
    order = sorted(counts, key=lambda label: (-counts[label], label))
    return [label for label in order if counts[label] >= EXAMPLES_PER_LABEL_MIN][:LABELS_MAX]


def quotas(counts, total):
    """How many examples of each label to take: at most total in all.

    Small labels are taken whole and large ones cut to one common height, and no
    label gets more than all others together.
    """
    def cut(height):
        return {label: min(count, height) for label, count in counts.items()}
    height = max(counts.values())
    while height > 1 and sum(cut(height).values()) > total:
        height -= 1
    taken = cut(height)
    largest = max(sorted(taken), key=taken.get)
    taken[largest] = min(taken[largest], sum(taken.values()) - taken[largest])
    return taken


def pool_sample(name, packages, members):
    """The part of a pool task's members that is used, {package name: label}."""
    sample, parts = {}, collections.defaultdict(list)
    for member in members:
        parts[split.split_of(packages[member].source)].append(member)
    for part, total in POOL_EXAMPLES_MAX.items():
        seen, per_source = set(), collections.Counter()
        by_label = collections.defaultdict(list)
        for member in split.shuffled(parts[part], "pool", name):
            package = packages[member]
            text = (package.source, package.synopsis)
            if text in seen or per_source[package.source] == POOL_PER_SOURCE_MAX:
                continue
            seen.add(text)
            per_source[package.source] += 1
            by_label[members[member]].append(member)
        if len(by_label) < 2:
            return {}
        counts = {label: len(found) for label, found in by_label.items()}
        for label, count in quotas(counts, total).items():
            for member in by_label[label][:count]:
                sample[member] = label
    return sample


def held_out_members(packages, members):
    """All members outside the pool's half."""
    return {name: label for name, label in members.items()
            if split.split_of(packages[name].source) not in POOL_EXAMPLES_MAX}


def label_task_members(packages, tag):
    """One label against the rest of the tagged packages."""
    label = tag.split("::", 1)[1]
    return {package.name: label if tag in package.tags else REST
            for package in packages.values() if package.tags}


def tasks_of(packages):
    """All tasks of a package database, held-out ones first, as a list of Task."""
    tasks, facets = [], facet_examples(packages)
    for name, distance in HELD_OUT:
        members = facets.get(name, {})
        labels = frequent_labels(members)
        kept = {package: label for package, label in members.items() if label in labels}
        tasks.append(Task(name, "held-out-" + distance, labels,
                          held_out_members(packages, kept)))

    candidates = []
    held_out = {name for name, _ in HELD_OUT}
    for facet in sorted(set(facets) - held_out):
        candidates.append((facet, "pool-facet", facets[facet]))
    for name, sections in SECTION_TASKS:
        candidates.append((name, "pool-section",
                           {package.name: package.section for package in packages.values()
                            if not package.tags and package.section in sections}))
    for tag in LABEL_TASKS:
        candidates.append((tag.replace("::", "-").replace(":", "-"), "pool-label",
                           label_task_members(packages, tag)))
    for name, kind, members in candidates:
        labels = frequent_labels(members)
        if len(labels) < 2:
            continue
        kept = {package: label for package, label in members.items() if label in labels}
        sample = pool_sample(name, packages, kept)
        if len(sample) >= POOL_EXAMPLES_MIN:
            present = set(sample.values())
            tasks.append(Task(name, kind, [label for label in labels if label in present],
                              sample))
    return tasks
