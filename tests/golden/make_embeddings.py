#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Write embeddings.json: token ids and embeddings of real sentences, from the reference.

Run by hand when the model or the sentences change; the result is committed.
Documentation/data.md says what to install.
"""

import argparse
import hashlib
import json
import os

import bert_reference

# Package synopses and one sentence of a long description. Lengths from 3 to about 60
# tokens, with punctuation, digits, names that fall into many pieces, and accents.
SENTENCES = (
    "apache",
    "GNU Bourne Again SHell",
    "commandline package manager",
    "small utility for manipulating IPv6 addresses",
    "mathematics based puzzle game",
    "CGI search interface and indexers using Xapian",
    "Braille UTDML translation utilities",
    "advanced modular IRC bouncer (Python extension)",
    "GObject introspection data for libqmi-glib",
    "HEIF file format decoder - gdk-pixbuf loader for ISO/IEC 23008-12:2017",
    "r\u00e9sum\u00e9 viewer for the caf\u00e9, \u00fcber-simple & na\u00efve",
    "Trust-DNS is a safe and secure DNS server with DNSSec support - feature "
    "\"dns-over-openssl\" and 2 more",
    "linux kernel headers for version 6.12.107+deb12-cloud-amd64",
    "detection of various kinds of polymorphisms in RNA-seq data",
    "\u65e5\u672c\u8a9e input method for X11",
    "This package contains the core of the monitoring system: a daemon that polls network "
    "services (SMTP, POP3, HTTP, NNTP, PING) and host resources (processor load, disk usage), "
    "notifies contacts by e-mail or pager when problems occur, and shows current status, logs "
    "and reports in a web browser.",
)
DIGITS = 9


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="~/.cache/lorafusion/encoder",
                        help="model directory (default: %(default)s)")
    parser.add_argument("--out", default=os.path.join(os.path.dirname(__file__),
                                                      "embeddings.json"))
    arguments = parser.parse_args()
    directory = os.path.expanduser(arguments.model)
    tokenizer = bert_reference.read_tokenizer(directory)
    bert = bert_reference.Bert(directory)
    with open(os.path.join(directory, "model.safetensors"), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    rows = []
    for text in SENTENCES:
        ids = tokenizer.encode(text).ids
        embedding = [float("%.*g" % (DIGITS, value)) for value in bert.embed(ids).tolist()]
        rows.append({"text": text, "ids": ids, "embedding": embedding})
    with open(arguments.out, "w", encoding="ascii") as file:
        file.write('{"schema_version": 1, "model_sha256": "%s",\n "sentences": [\n' % digest)
        file.write(",\n".join("  " + json.dumps(row) for row in rows))
        file.write("\n]}\n")


if __name__ == "__main__":
    main()
