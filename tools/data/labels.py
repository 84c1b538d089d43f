# SPDX-License-Identifier: MIT
"""Label names in words, for a head that embeds them with the same encoder.

A label is its own words, except where it is an abbreviation or a compound that no
vocabulary holds. These are written out here, once for all tasks: the debtags vocabulary
is not on every machine, and a text that depends on the machine would change results.
"""

TEXTS = {
    "admin": "administration",
    "app-data": "application data",
    "c": "C language",
    "comm": "communication",
    "commandline": "command line",
    "db": "databases",
    "devel": "development",
    "devel-lib": "development library",
    "doc": "documentation",
    "gameplaying": "playing games",
    "gnu-r": "GNU R",
    "golang": "Go language",
    "hamradio": "amateur radio",
    "httpd": "web server",
    "i18n": "internationalization",
    "input:keyboard": "keyboard",
    "introspection": "GObject introspection",
    "lang:java": "Java language",
    "lang:sql": "SQL language",
    "libdevel": "library development",
    "libs": "libraries",
    "man": "manual pages",
    "math": "mathematics",
    "misc": "miscellaneous",
    "net": "network",
    "objc": "Objective-C",
    "otherosfs": "other operating systems and file systems",
    "plaintext": "plain text",
    "r": "R language",
    "rcs": "revision control",
    "shared-lib": "shared library",
    "software:running": "running programs",
    "software:source": "source code",
    "testing-qa": "testing and quality assurance",
    "utils": "utilities",
    "vcs": "version control",
}


def text_of(label):
    """Words for a label."""
    return TEXTS.get(label) or label.replace("-", " ").replace(":", " ")
