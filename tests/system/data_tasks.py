#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of tools/data: stanzas, splits, tasks, manifest, and the `tasks` script as a whole.

Most use a made-up package database; the last ones the committed manifest and, where
there are package lists, the machine's own.
"""

import collections
import io
import json
import os
import subprocess
import sys
import tempfile

import ktap

sys.path.insert(0, os.path.join(ktap.SOURCE, "tools", "data"))

import data_fixture
import debian
import labels
import manifest
import sample
import split
import taxonomy

SCRIPT = os.path.join(ktap.SOURCE, "tools", "data", "tasks")
COMMITTED = os.path.join(ktap.SOURCE, "tools", "data", "manifest.tsv")
MADE_UP, _ = debian.packages_of(data_fixture.dump().decode())


def committed():
    """The committed manifest."""
    with open(COMMITTED, encoding="utf-8") as file:
        return manifest.read(file)


def script(*arguments, status=0, **variables):
    """Run the script on the made-up database; returns (stdout, stderr)."""
    done = subprocess.run([sys.executable, "-B", SCRIPT, *arguments], capture_output=True,
                          text=True, env=dict(os.environ, **variables), check=False)
    if done.returncode != status:
        raise AssertionError("exit status %d, expected %d: %s"
                             % (done.returncode, status, done.stderr))
    return done.stdout, done.stderr


class Folder(tempfile.TemporaryDirectory):
    """A directory with the made-up lists in files, and a manifest of them."""

    def __enter__(self):
        super().__enter__()
        for name, data in (("dump", data_fixture.dump()),
                           ("translations", data_fixture.translations())):
            with open(self.path(name), "wb") as file:
                file.write(data)
        with open(self.path("manifest"), "w", encoding="utf-8") as file:
            manifest.write(manifest.of_packages(MADE_UP), file)
        return self

    def path(self, *names):
        """A path inside."""
        return os.path.join(self.name, *names)

    def make(self, out, *arguments, dump="dump", **keywords):
        """Run the script into a directory inside."""
        return script("--dump", self.path(dump), "--manifest", self.path("manifest"),
                      "--out", self.path(out), *arguments, **keywords)

    def read(self, *names):
        """A file's bytes."""
        with open(self.path(*names), "rb") as file:
            return file.read()

    def tree(self, out):
        """{relative path: bytes} of everything below a directory."""
        return {os.path.relpath(os.path.join(top, name), self.path(out)):
                self.read(top, name) for top, _, names in os.walk(self.path(out))
                for name in names}


def test_tags_are_expanded():
    ktap.equal(debian.expand_tags("use::editing,\n works-with::{text, image:raster},  role::TODO"),
               ["use::editing", "works-with::text", "works-with::image:raster", "role::TODO"])
    ktap.equal(debian.expand_tags("a::{b}c, d::e"), ["a::bc", "d::e"])
    ktap.equal(debian.expand_tags(""), [])
    package = debian.package_of({"Package": "ab", "Description": "x", "Tag": "a::b, c::TODO"})
    ktap.equal(package.tags, frozenset(["a::b"]))


def test_bad_tags_are_refused():
    for value in ("editing", "use::{a", "use::a}", "use::{a,{b}}", "use::", "::a", "use::a b",
                  "use::a,,b::c", "use::\u00e9", "../::x", ", ".join(["a::b"] * 300)):
        ktap.fails(ValueError, debian.expand_tags, value)


def test_hostile_stanzas_are_refused_alone():
    hostile = {
        "Package: ../../etc/passwd\nDescription: x": "Package",
        "Package: \nDescription: x": "Package",
        "Description: no name": "Package",
        "Package: a b\nDescription: x": "Package",
        "Package: ok1\nSource: ../x\nDescription: x": "Source",
        "Package: ok1\nSource: \nDescription: x": "Source",
        "Package: ok1\nSection: a/b/c\nDescription: x": "Section",
        "Package: ok1\nDescription:": "Description",
        "Package: ok1": "Description",
        "Package: ok1\nDescription: " + "y" * 2000: "Description",
        "Package: ok1\nDescription: \x01\x02\x1b": "Description",
        "Package: ok1\nDescription: x\nDescription-md5: ../../../etc": "Description-md5",
        "Package: ok1\nDescription: x\nTag: use::{a": "Tag",
        "Package: ok1\nPackage: ok2\nDescription: x": "twice",
        "Package: ok1\ngarbage\nDescription: x": "field",
        " continuation of nothing\nPackage: ok1\nDescription: x": "field",
    }
    good = "Package: good%d\nDescription: a\x1b[2J \ttext\x00 \u2028here\n"
    for number, (stanza, word) in enumerate(hostile.items()):
        text = good % number + "\n" + stanza + "\n\n\n" + good % (number + 100)
        packages, refused = debian.packages_of(text)
        ktap.equal(sorted(packages), sorted(["good%d" % number, "good%d" % (number + 100)]))
        ktap.equal(sum(refused.values()), 1)
        assert word in next(iter(refused)), (stanza, refused)
        ktap.equal(packages["good%d" % number].synopsis, "a [2J text here")
    packages, _ = debian.packages_of(os.urandom(4096).decode("utf-8", "replace"))
    ktap.equal(packages, {})


def test_long_texts_come_from_translations():
    digest = "0" * 32
    texts = debian.long_texts_of("Package: p\nDescription-md5: %s\nDescription-en: short\n one\n"
                                 " .\n  two\tthree\n\nDescription-md5: x\nDescription-en: a\n b\n"
                                 "\nDescription-md5: %s\nDescription-en: a\n %s\n"
                                 % (digest, "1" * 32, "z" * 10000))
    ktap.equal(texts, {digest: "one two three"})


def test_splits_have_their_shares_and_never_change():
    counts = collections.Counter(split.split_of("source-%d" % n) for n in range(20000))
    for name, share in (("pool", .45), ("pool-validation", .05), ("adaptation", .15),
                        ("adaptation-validation", .05), ("test", .3)):
        assert abs(counts[name] / 20000 - share) < .01, counts
    # The committed manifest and the trained pool stand on these.
    ktap.equal([split.split_of(name) for name in ("bash", "linux", "znc", "gimp", "apt")],
               ["pool-validation", "adaptation", "test", "pool", "pool"])


def test_order_depends_on_each_name_alone():
    names = ["n%d" % n for n in range(100)]
    order = split.shuffled(names, "key")
    assert order != names and order != split.shuffled(names, "other key")
    ktap.equal(split.shuffled(reversed(names), "key"), order)
    ktap.equal(split.shuffled([n for n in names if n != "n7"], "key"),
               [n for n in order if n != "n7"])


def test_siblings_stay_in_one_split():
    found = manifest.of_packages(MADE_UP)
    splits = collections.defaultdict(set)
    for name, entry in found.entries.items():
        splits[MADE_UP[name].source].add(entry.split)
    assert len(splits) > 1000
    ktap.equal([source for source, parts in splits.items() if len(parts) != 1], [])


def test_only_packages_with_one_label_are_examples():
    packages = {name: debian.Package(name, name, "misc", "text", "", frozenset(tags))
                for name, tags in (("one", ["use::a", "role::x"]),
                                   ("two", ["use::a", "use::b", "role::x"]), ("none", []))}
    ktap.equal(taxonomy.facet_examples(packages),
               {"use": {"one": "a"}, "role": {"one": "x", "two": "x"}})


def test_tasks_of_the_made_up_database():
    tasks = {task.name: task for task in taxonomy.tasks_of(MADE_UP)}
    ktap.equal([name for name in tasks][:6], [name for name, _ in taxonomy.HELD_OUT])
    ktap.equal(sorted(name for name, task in tasks.items() if not taxonomy.is_held_out(task)),
               ["role", "role-documentation", "role-plugin", "role-program", "scope",
                "scope-utility", "section-language"])
    ktap.equal(sorted(tasks["use"].labels), ["editing", "searching", "viewing"])
    ktap.equal(sorted(tasks["role-plugin"].labels), ["other", "plugin"])
    for task in tasks.values():
        ktap.equal(set(task.members.values()), set(task.labels))
        parts = {split.split_of(MADE_UP[name].source) for name in task.members}
        ktap.equal(parts, set(taxonomy.splits_used(task)))


def test_pool_and_held_out_share_no_source():
    sources = collections.defaultdict(set)
    for task in taxonomy.tasks_of(MADE_UP):
        for name in task.members:
            sources[taxonomy.is_held_out(task)].add(MADE_UP[name].source)
    ktap.equal(sources[True] & sources[False], set())
    held_out = {name for name, _ in taxonomy.HELD_OUT}
    ktap.equal([tag for tag in taxonomy.LABEL_TASKS if tag.split("::")[0] in held_out], [])


def test_quotas_cut_large_labels_only():
    ktap.equal(taxonomy.quotas({"a": 1000, "b": 30, "c": 5}, 2000), {"a": 35, "b": 30, "c": 5})
    ktap.equal(taxonomy.quotas({"a": 1000, "b": 900, "c": 10}, 210), {"a": 100, "b": 100, "c": 10})
    ktap.equal(taxonomy.quotas({"a": 40, "b": 40}, 2000), {"a": 40, "b": 40})


def test_training_shares_are_stratified():
    ktap.equal(sample.shares({"a": 10, "b": 5}, 100), {"a": 10, "b": 5})
    ktap.equal(sample.shares({"a": 600, "b": 300, "c": 100}, 100), {"a": 60, "b": 30, "c": 10})
    drawn = sample.shares({"a": 990, "b": 5, "c": 2}, 100)
    ktap.equal(drawn, {"a": 95, "b": 3, "c": 2})
    for total in range(1, 60):
        ktap.equal(sum(sample.shares({"a": 33, "b": 20, "c": 7, "d": 1}, total).values()), total)


def test_a_missing_package_moves_only_its_place():
    found = manifest.of_packages(MADE_UP)
    task = found.tasks[0]
    everything = set(found.entries)
    before = sample.draw(task, found.entries, everything, 1, 100, None)
    gone = before["train"][10]
    after = sample.draw(task, found.entries, everything - {gone}, 1, 100, None)
    ktap.equal(set(before["train"]) - set(after["train"]), {gone})
    ktap.equal(len(after["train"]), 100)
    ktap.equal([name for name in after["train"] if name in before["train"]],
               [name for name in before["train"] if name != gone])
    ktap.equal(after["test"], before["test"])


def test_seeds_change_training_and_nothing_else():
    found = manifest.of_packages(MADE_UP)
    task = found.tasks[0]
    first, second = (sample.draw(task, found.entries, found.entries, seed, 50, None)
                     for seed in (1, 2))
    assert set(first["train"]) != set(second["train"])
    ktap.equal(first["test"], second["test"])
    limited = sample.draw(task, found.entries, found.entries, 1, 50, 20)
    ktap.equal(limited["test"], first["test"][:20])


def test_manifest_comes_back_as_written():
    found = manifest.of_packages(MADE_UP)
    file = io.StringIO()
    manifest.write(found, file)
    file.seek(0)
    ktap.equal(manifest.read(file), found)


def test_lying_manifests_are_refused():
    start = "lorafusion-manifest\t1\n"
    task = "task\t0\tuse\theld-out-near\ta,b\n"
    package = "package\tbash\ttest\t00ff00\t0.1\n"
    manifest.read(io.StringIO(start + task + package))
    for text, word in (
            ("", "line 1"), ("lorafusion-manifest\t2\n", "line 1"), (start, "no package"),
            (start + package, "line 2: task"),
            (start + task, "no package"),
            (start + task.replace("\t0\t", "\t1\t") + package, "line 2: task"),
            (start + task + task.replace("\t0\t", "\t1\t") + package, "line 3: task"),
            (start + task.replace("held-out-near", "x") + package, "line 2: kind"),
            (start + task.replace("a,b", "a") + package, "line 2: labels"),
            (start + task.replace("a,b", "a,a") + package, "line 2: labels"),
            (start + task.replace("a,b", "a,../x") + package, "line 2: labels"),
            (start + task.replace("use", "../use") + package, "line 2: task"),
            (start + task + package + package, "line 4: package"),
            (start + task + package.replace("bash", "/etc/passwd"), "line 3: package"),
            (start + task + package.replace("test", "x"), "line 3: split"),
            (start + task + package.replace("test", "pool"), "line 3: split"),
            (start + task + package.replace("00ff00", "zz"), "line 3: digest"),
            (start + task + package.replace("0.1", "0.2"), "line 3: label"),
            (start + task + package.replace("0.1", "1.0"), "line 3: task"),
            (start + task + package.replace("0.1", "-1.0"), "line 3: task"),
            (start + task + package.replace("0.1", "0.9999999999"), "line 3: label"),
            (start + task + package.replace("0.1", ""), "line 3: task"),
            (start + task + package.replace("\t0.1", ""), "line 3: package"),
            (start + task + package + task, "line 4")):
        message = ktap.fails(manifest.ManifestError, manifest.read, io.StringIO(text))
        assert word in message, (text, message)


def test_label_words_are_plain_text():
    ktap.equal(labels.text_of("lang:some-thing"), "lang some thing")
    for task in committed().tasks:
        words = [labels.text_of(label) for label in task.labels]
        ktap.equal(len(set(words)), len(words))
        assert all(text and text.isprintable() and ":" not in text for text in words), words


def test_script_gives_the_same_bytes_twice():
    with Folder() as folder:
        folder.make("one", PYTHONHASHSEED="1", LC_ALL="C")
        folder.make("two", PYTHONHASHSEED="2", LC_ALL="C.UTF-8")
        ktap.equal(folder.tree("one"), folder.tree("two"))
        index = json.loads(folder.read("one", "tasks.json"))
        for task in index["tasks"]:
            for part, entry in task["splits"].items():
                lines = folder.read("one", task["name"], part + ".jsonl").decode().splitlines()
                ktap.equal(len(lines), entry["examples"])
                for line in lines:
                    ktap.equal(list(json.loads(line)), ["text", "label", "source"])
                    assert json.loads(line)["label"] in task["labels"]


def test_script_is_quick_the_second_time_and_repairs():
    with Folder() as folder:
        folder.make("out")
        whole = folder.tree("out")
        assert "up to date" in folder.make("out")[1]
        with open(folder.path("out", "use", "train.jsonl"), "a", encoding="utf-8") as file:
            file.write("damage\n")
        assert "made" in folder.make("out")[1]
        ktap.equal(folder.tree("out"), whole)
        assert "made" in folder.make("out", "--seed", "5")[1]
        assert folder.tree("out") != whole


def test_script_joins_long_descriptions():
    with Folder() as folder:
        folder.make("out", "--form", "description", "--translations",
                    folder.path("translations"))
        example = json.loads(folder.read("out", "use", "train.jsonl").splitlines()[0])
        assert "Long text of use-" in example["text"], example
        assert example["text"].endswith(", over two lines."), example


def test_script_reports_sizes():
    with Folder() as folder:
        table, _ = folder.make("out", "--report")
        assert table.splitlines()[0].startswith("task") and "section-language" in table
        index = json.loads(folder.make("out", "--json")[0])
        ktap.equal(index["schema_version"], 1)
        ktap.equal(index["tasks"][0]["splits"]["train"]["examples"], 100)


def test_script_refuses_what_is_wrong():
    with Folder() as folder:
        for name, data in (("empty", b""), ("binary", os.urandom(10000)),
                           ("half", data_fixture.dump()[:len(data_fixture.dump()) // 2])):
            with open(folder.path(name), "wb") as file:
                file.write(data)
            message = folder.make("out", dump=name, status=1)[1]
            assert "apt-get update" in message, message
        assert "no task nothing" in folder.make("out", "--task", "nothing", status=1)[1]
        assert "No such file" in folder.make("out", dump="absent", status=1)[1]
        with open(folder.path("manifest"), "a", encoding="utf-8") as file:
            file.write("junk\n")
        assert "is neither" in folder.make("out", status=1)[1]
        ktap.equal(os.path.exists(folder.path("out")), False)


def test_script_leaves_foreign_directories_alone():
    with Folder() as folder:
        os.mkdir(folder.path("mine"))
        with open(folder.path("mine", "thesis.txt"), "w", encoding="utf-8") as file:
            file.write("precious")
        assert "left alone" in folder.make("mine", status=1)[1]
        ktap.equal(folder.read("mine", "thesis.txt"), b"precious")


def test_committed_manifest_is_what_the_design_asks_for():
    found = committed()
    ktap.equal([task.name for task in found.tasks[:6]], [name for name, _ in taxonomy.HELD_OUT])
    assert sum(not taxonomy.is_held_out(task) for task in found.tasks) >= 30
    for task in found.tasks:
        counts = collections.Counter((label, found.entries[name].split)
                                     for name, label in task.members.items())
        assert 2 <= len(task.labels) <= taxonomy.LABELS_MAX
        first = taxonomy.splits_used(task)[0]
        for label in task.labels:
            assert counts[label, first] >= (4 if taxonomy.is_held_out(task) else 1), (task.name,
                                                                                     label)
        if not taxonomy.is_held_out(task):
            total = sum(counts[label, first] for label in task.labels)
            assert max(counts[label, first] for label in task.labels) <= total / 2


def test_machine_agrees_with_the_committed_manifest():
    found = committed()
    try:
        packages, refused = debian.packages_of(debian.dump().decode("utf-8", "replace"))
    except debian.DebianError as error:
        raise ktap.Skip(str(error)) from error
    counts = manifest.coverage(found, packages)
    if counts["present"] < counts["packages"] / 10:
        raise ktap.Skip("this machine has no package lists")
    assert counts["present"] >= .9 * counts["packages"], counts
    assert sum(refused.values()) <= len(packages) / 1000, refused
    splits = collections.defaultdict(set)
    for name, entry in found.entries.items():
        if name in packages:
            splits[packages[name].source].add(entry.split)
    moved = [source for source, parts in splits.items() if len(parts) != 1]
    assert len(moved) <= len(splits) / 1000, moved


if __name__ == "__main__":
    sys.exit(ktap.main(sys.modules[__name__]))
