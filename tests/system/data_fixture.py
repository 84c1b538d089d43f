# SPDX-License-Identifier: MIT
"""A small made-up package database, large enough that every kind of task comes out."""

import hashlib

# Facet and labels; a package gets one label of one facet, its siblings the same.
FACETS = {
    "use": ("editing", "viewing", "searching"),
    "works-with": ("text", "audio"),
    "interface": ("commandline", "daemon"),
    "suite": ("gnu", "kde"),
    "field": ("physics", "chemistry"),
    "admin": ("backup", "boot"),
    "role": ("program", "plugin", "documentation"),
    "scope": ("utility", "application"),
}
SECTIONS = ("python", "perl", "ruby")
SOURCES_PER_LABEL = 160


def _stanza(name, source, section, tags):
    text = "%s from %s, number %s" % (" ".join(tags) or section, source, name)
    return ("Package: %s\nSource: %s (1.0-1)\nSection: %s\nDescription: %s\n"
            "Description-md5: %s\n%s" % (
                name, source, section, text, hashlib.md5(text.encode()).hexdigest(),
                "Tag: %s\n" % ", ".join(tags) if tags else ""))


def _members():
    for facet, labels in FACETS.items():
        for label in labels:
            yield "%s-%s" % (facet, label), "misc", ("%s::%s" % (facet, label),
                                                     "%s::TODO" % facet)
    for section in SECTIONS:
        yield "s-%s" % section, section, ()


def stanzas():
    """List of stanzas; every fourth source has three packages."""
    made = []
    for base, section, tags in _members():
        for number in range(SOURCES_PER_LABEL):
            source = "%s-%d" % (base, number)
            for sibling in range(3 if number % 4 == 0 else 1):
                name = "%s-%c" % (source, "abc"[sibling])
                made.append(_stanza(name, source, section, tags))
    return made


def dump():
    """The database as `apt-cache dumpavail` would print it, bytes."""
    return "\n".join(stanzas()).encode("utf-8")


def translations():
    """A Translation-en list for the same packages, bytes."""
    made = []
    for stanza in stanzas():
        fields = dict(line.split(": ", 1) for line in stanza.splitlines())
        made.append("Package: %s\nDescription-md5: %s\nDescription-en: %s\n Long text of %s,\n"
                    " .\n over two lines.\n" % (fields["Package"], fields["Description-md5"],
                                              fields["Description"], fields["Package"]))
    return "\n".join(made).encode("utf-8")
