# SPDX-License-Identifier: MIT
"""The manifest: which packages are examples of which tasks, without their texts.

Package lists change from one release to the next. Tasks made from the committed
manifest have the same members, labels and splits everywhere; only a package that a
machine lacks is missing. One text file, one package a line, sorted by name:

    lorafusion-manifest  1
    task     NUMBER  NAME  KIND  LABEL,LABEL,...
    package  NAME  SPLIT  DIGEST  TASK.LABEL TASK.LABEL ...

Columns are separated by tabs; TASK and LABEL count from 0; DIGEST is the start of
Description-md5 and tells whether a machine has the same text.
"""

import collections

import debian
import split
import taxonomy

HEADER = "lorafusion-manifest\t1"
DIGEST_LENGTH = 6
TASKS_MAX = 1000

Entry = collections.namedtuple("Entry", "split digest")
Manifest = collections.namedtuple("Manifest", "tasks entries")
Manifest.__doc__ = """tasks: list of taxonomy.Task; entries: {package name: Entry}."""


class ManifestError(Exception):
    """Names the line and the column that is wrong."""


def of_packages(packages):
    """The manifest of a package database, {name: debian.Package}."""
    tasks = taxonomy.tasks_of(packages)
    names = sorted({name for task in tasks for name in task.members})
    return Manifest(tasks, {name: Entry(split.split_of(packages[name].source),
                                        digest_of(packages[name])) for name in names})


def digest_of(package):
    """The part of Description-md5 that the manifest keeps, "-" where there is none."""
    return package.description_md5[:DIGEST_LENGTH] or "-"


def write(manifest, file):
    """Write a manifest to a text file object."""
    print(HEADER, file=file)
    memberships = collections.defaultdict(list)
    for number, task in enumerate(manifest.tasks):
        print("task", number, task.name, task.kind, ",".join(task.labels), sep="\t", file=file)
        for name, label in task.members.items():
            memberships[name].append((number, task.labels.index(label)))
    for name in sorted(manifest.entries):
        entry = manifest.entries[name]
        print("package", name, entry.split, entry.digest,
              " ".join("%d.%d" % pair for pair in memberships[name]), sep="\t", file=file)


def _number(text, bound, what):
    if not text.isascii() or not text.isdigit() or len(text) > 6 or int(text) >= bound:
        raise ValueError("%s: %.20r is not one of %d" % (what, text, bound))
    return int(text)


def _task(columns, tasks):
    if len(columns) != 5:
        raise ValueError("task: %d columns, not 5" % len(columns))
    _, number, name, kind, labels = columns
    labels = labels.split(",")
    if _number(number, TASKS_MAX, "task") != len(tasks):
        raise ValueError("task: numbers do not follow each other")
    if not debian.PACKAGE_NAME.match(name) or any(task.name == name for task in tasks):
        raise ValueError("task: %.40r is no name or stands twice" % name)
    if kind not in taxonomy.KINDS:
        raise ValueError("kind: %.40r is unknown" % kind)
    if (len(labels) < 2 or len(set(labels)) != len(labels) or
            not all(debian.TAG.match(name + "::" + label) for label in labels)):
        raise ValueError("labels: fewer than two, twice the same or not labels")
    return taxonomy.Task(name, kind, labels, {})


def _package(columns, tasks, entries):
    if len(columns) != 5:
        raise ValueError("package: %d columns, not 5" % len(columns))
    _, name, part, digest, memberships = columns
    if not debian.PACKAGE_NAME.match(name) or name in entries:
        raise ValueError("package: %.40r is no name or stands twice" % name)
    if part not in split.NAMES:
        raise ValueError("split: %.40r is unknown" % part)
    if digest != "-" and not debian.MD5.match(digest.ljust(32, "0")):
        raise ValueError("digest: %.40r is not one" % digest)
    pairs = {}
    for membership in memberships.split(" "):
        task, _, label = membership.partition(".")
        number = _number(task, len(tasks), "task")
        pairs[number] = tasks[number].labels[_number(label, len(tasks[number].labels), "label")]
        if part not in taxonomy.splits_used(tasks[number]):
            raise ValueError("split: task %s does not use %s" % (tasks[number].name, part))
    entries[name] = Entry(part, digest)
    for number, label in pairs.items():
        tasks[number].members[name] = label


def read(file):
    """Read a manifest from a text file object. Raises ManifestError."""
    tasks, entries = [], {}
    if file.readline().rstrip("\n") != HEADER:
        raise ManifestError("line 1: not a manifest of version 1")
    for line_number, line in enumerate(file, 2):
        columns = line.rstrip("\n").split("\t")
        try:
            if columns[0] == "task" and not entries:
                tasks.append(_task(columns, tasks))
            elif columns[0] == "package":
                _package(columns, tasks, entries)
            else:
                raise ValueError("%.40r is neither task nor package" % columns[0])
        except ValueError as error:
            raise ManifestError("line %d: %s" % (line_number, error)) from error
    if not entries:
        raise ManifestError("no package in it")
    return Manifest(tasks, entries)


def coverage(manifest, packages, names=None):
    """How much of the manifest (or of some names in it) a machine has.

    Returns {"packages", "present", "unchanged"}: unchanged ones have the same text.
    """
    names = manifest.entries if names is None else names
    present = [name for name in names if name in packages]
    unchanged = sum(digest_of(packages[name]) == manifest.entries[name].digest
                    for name in present)
    return {"packages": len(names), "present": len(present), "unchanged": unchanged}
