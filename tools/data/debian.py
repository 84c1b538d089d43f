# SPDX-License-Identifier: MIT
"""The machine's package database: stanzas, tags and long descriptions.

Reads what apt knows and nothing else. Which tasks are made from it is the
business of taxonomy.py.
"""

import collections
import os
import re
import subprocess

PACKAGE_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{1,127}\Z")
TAG = re.compile(r"[a-z0-9-]{1,40}::[A-Za-z0-9:+.-]{1,60}\Z")
SECTION = re.compile(r"(?:[a-z-]+/)?([a-z0-9-]{1,40})\Z")
MD5 = re.compile(r"[0-9a-f]{32}\Z")
TAGS_MAX = 200
SYNOPSIS_BYTES_MAX = 1000
LONG_TEXT_CHARACTERS_MAX = 8000

Package = collections.namedtuple("Package", "name source section synopsis description_md5 tags")
Package.__doc__ = """One stanza. tags is a frozenset of "facet::label" without TODO."""


class DebianError(Exception):
    """Says which command or list failed and what to do."""


def stanzas(text):
    """Yield {field: value} for each stanza; continuation lines keep their newline.

    A line that is neither a field nor a continuation spoils its stanza: it is
    yielded with the key None, so that the caller can refuse and count it.
    """
    fields, field = {}, None
    for line in text.split("\n"):
        if not line.strip():
            if fields:
                yield fields
            fields, field = {}, None
        elif line[0] in " \t":
            if field is None:
                fields[None] = line
            else:
                fields[field] += "\n" + line[1:]
        else:
            field, colon, value = line.partition(":")
            if not colon or not field or field in fields:
                fields[None], field = line, None
            else:
                fields[field] = value.strip()
    if fields:
        yield fields


def expand_tags(value):
    """Tags of a Tag field: a list of "facet::label", "{a,b}" multiplied out.

    Raises ValueError when the field is not one.
    """
    tags, rest = [], value.replace("\n", " ").strip()
    while rest:
        match = re.match(r"([^,{}]*)(?:\{([^{}]*)\}([^,{}]*))?(?:,|\Z)", rest)
        if match is None:
            raise ValueError("unbalanced braces")
        head, alternatives, tail = match.groups()
        for middle in alternatives.split(",") if alternatives is not None else [""]:
            tag = (head + middle.strip() + (tail or "")).strip()
            if not TAG.match(tag):
                raise ValueError("%.40r is not a tag" % tag)
            tags.append(tag)
        if len(tags) > TAGS_MAX:
            raise ValueError("more than %d tags" % TAGS_MAX)
        rest = rest[match.end():].strip()
    return tags


def one_line(text):
    """Text with control characters and runs of white space made one space each."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def package_of(fields):
    """A Package from a stanza. Raises ValueError that names the field."""
    if None in fields:
        raise ValueError("a line is not a field, or a field stands twice")
    name = fields.get("Package", "")
    if not PACKAGE_NAME.match(name):
        raise ValueError("Package: not a package name")
    source = (fields.get("Source", name).split() or [""])[0]
    if not PACKAGE_NAME.match(source):
        raise ValueError("Source: not a package name")
    section = SECTION.match(fields.get("Section", "unknown"))
    if section is None:
        raise ValueError("Section: not a section")
    synopsis = one_line(fields.get("Description", "").split("\n")[0])
    if not synopsis or len(synopsis.encode("utf-8", "replace")) > SYNOPSIS_BYTES_MAX:
        raise ValueError("Description: empty or longer than %d bytes" % SYNOPSIS_BYTES_MAX)
    digest = fields.get("Description-md5", "")
    if digest and not MD5.match(digest):
        raise ValueError("Description-md5: not a digest")
    try:
        tags = expand_tags(fields.get("Tag", ""))
    except ValueError as error:
        raise ValueError("Tag: %s" % error) from error
    kept = frozenset(tag for tag in tags if not tag.endswith("::TODO"))
    return Package(name, source, section.group(1), synopsis, digest, kept)


def packages_of(text):
    """All packages of a dump, {name: Package}, and {reason: count} of refused stanzas.

    A bad stanza is refused whole and the others stay: one package's field must not
    take the rest with it. Of a name that stands twice the first one counts.
    """
    packages, refused = {}, collections.Counter()
    for fields in stanzas(text):
        try:
            package = package_of(fields)
        except ValueError as error:
            refused[str(error)] += 1
            continue
        packages.setdefault(package.name, package)
    return packages, dict(sorted(refused.items()))


def run(command):
    """Standard output of a command as bytes; DebianError if it fails."""
    environment = dict(os.environ, LC_ALL="C.UTF-8")
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=environment, check=False)
    except OSError as error:
        raise DebianError("%s: %s" % (command[0], error.strerror)) from error
    if done.returncode != 0:
        message = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise DebianError("%s: exit status %d: %s" % (" ".join(command[:2]), done.returncode,
                                                      message[-1] if message else "no message"))
    return done.stdout


def dump(options=()):
    """What `apt-cache dumpavail` prints, as bytes."""
    return run(["apt-cache", "dumpavail", *options])


class PrivateLists:
    """A list directory of our own beside the system's, for long descriptions only.

    Sources, keys and proxies are the system's own configuration; only where lists
    are kept and which of them are wanted differ. No privilege is needed and the
    system's lists stay as they are.
    """

    def __init__(self, directory):
        self.directory = directory

    def options(self):
        """apt options that select the private directories."""
        return ["-o", "Dir::State::Lists=%s/lists" % self.directory,
                "-o", "Dir::Cache=%s/cache" % self.directory,
                "-o", "Acquire::Languages=en",
                "-o", "Acquire::IndexTargets::deb::Packages::DefaultEnabled=false",
                "-o", "Acquire::IndexTargets::deb::Translations::DefaultEnabled=true"]

    def update(self):
        """Fetch the translation lists of the system's sources."""
        for name in ("lists/partial", "cache/archives/partial"):
            os.makedirs(os.path.join(self.directory, name), exist_ok=True)
        run(["apt-get", "update", "-q", *self.options()])

    def translation_files(self):
        """Paths of the Translation-en lists that are here."""
        listing = run(["apt-get", "indextargets", *self.options(), "--format", "$(FILENAME)",
                       "Created-By: Translations", "Language: en"])
        paths = listing.decode("utf-8", "replace").split("\n")
        return sorted(path for path in paths if path and os.path.isfile(path))

    def translations(self):
        """Bytes of all Translation-en lists, unpacked."""
        return b"\n\n".join(run(["/usr/lib/apt/apt-helper", "cat-file", path])
                            for path in self.translation_files())


def long_texts_of(text):
    """{description md5: long text} of Translation-en lists, on one line each."""
    texts = {}
    for fields in stanzas(text):
        digest, value = fields.get("Description-md5", ""), fields.get("Description-en", "")
        if None in fields or not MD5.match(digest) or len(value) > LONG_TEXT_CHARACTERS_MAX:
            continue
        lines = value.split("\n")[1:]
        # A line with a lone dot is an empty line.
        body = one_line(" ".join(line for line in lines if line.strip() != "."))
        if body:
            texts.setdefault(digest, body)
    return texts
