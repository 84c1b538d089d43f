#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Write wordpiece.json: token ids of difficult texts, from the reference tokenizer.

Run by hand when the vocabulary or the texts change; the result is committed.
Documentation/data.md says what to install.
"""

import argparse
import hashlib
import json
import os

import bert_reference

# Name and text. Left out: NUL (a C string ends there), lone surrogates (not UTF-8), names
# of special tokens such as [SEP] (text from outside must not become one), and characters
# on which this tokenizer and the model's first one, written in Python, disagree.
CASES = (
    ("empty", ""),
    ("only white space", " \t\n\r "),
    ("plain", "commandline package manager"),
    ("case", "GNU Bourne Again SHell"),
    ("white space is one separator", "  a \t b\n\nc\r\nd  "),
    ("Unicode white space", "a\u00a0b\u2003c\u3000d\u2028e\u1680f"),
    ("ASCII punctuation", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
    ("punctuation inside words", "don't e-mail foo@bar.org, C++/CLI (x86_64)..."),
    ("Unicode punctuation",
     "\u201cquoted\u201d \u2018x\u2019 \u2014 \u2026 \u00bfqu\u00e9? \u00ab\u00bb "
     "\u3001\u3002\u300c\u300d"),
    ("symbols that are no punctuation",
     "5 \u20ac \u00a3 \u00b0C \u00d7 \u00f7 \u2192 \u2211 \u221e \u2260 \u00a9 \u2122"),
    ("precomposed accents",
     "caf\u00e9 na\u00efve \u00fcber r\u00e9sum\u00e9 \u00c5ngstr\u00f6m \u0141\u00f3d\u017a"),
    ("combining accents", "cafe\u0301 nai\u0308ve u\u0308ber"),
    ("stacked accents", "Vi\u1ec7t Nam Ti\u1ebfng \u1ea8 \u1e69"),
    ("special lower case",
     "\u0130stanbul I\u0131 STRASSE Stra\u00dfe \u1e9e \u03a3\u03a6\u03a3 \u01c5"),
    ("ligature and full width", "\ufb01le \uff21\uff22\uff23 \uff11\uff12 \u2460 \u00bd"),
    ("Greek", "\u0391\u03b8\u03ae\u03bd\u03b1 \u03ac\u03bb\u03c6\u03b1"),
    ("Cyrillic", "\u041c\u043e\u0441\u043a\u0432\u0430 \u0451\u043b\u043a\u0430 \u0439"),
    ("Hebrew with points", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd"),
    ("Arabic", "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u0643\u0650\u062a\u0627\u0628"),
    ("Devanagari", "\u0939\u093f\u0928\u094d\u0926\u0940"),
    ("Thai", "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22"),
    ("Hangul", "\ud55c\uad6d\uc5b4 \uc785\ub825"),
    ("Chinese", "\u4e2d\u6587\u8f93\u5165\u6cd5abc\u6f22\u5b57"),
    ("Japanese", "\u65e5\u672c\u8a9e\u304b\u306a\u6f22\u5b57\u30ab\u30bf\u30ab\u30ca\u30ac\u30d1"),
    ("ideographs outside the first plane", "x\U00020000y\U0002f800z\U0002bd00"),
    ("ideographs at the edges of ranges",
     "\u33ff\u3400\u4dbf\u4dc0\u4dff\u4e00\u9fff\ua000\uf900\ufad9"),
    ("emoji",
     "ship it \U0001f680 \U0001f44d\U0001f3fd \u2764\ufe0f "
     "\U0001f468\u200d\U0001f469\u200d\U0001f467"),
    ("control characters", "a\u0001b\u0008c\u001bd\u007fe\u0085f\u009fg"),
    ("format characters", "so\u00adft ze\u200bro wi\u200ddth \u202eleft \ufeffmark"),
    ("replacement and private use", "bad\ufffdbyte pri\ue000vate"),
    ("word of 100 characters", "a" * 100),
    ("word of 101 characters", "a" * 101),
    ("word of 100 characters, more bytes", "\u0431" * 100),
    ("accents count before they are gone", "e\u0301" * 60),
    ("long word among others", "before " + "x" * 300 + " after"),
    ("word with an unknown piece", "abc\u2603def \u2603 snow\u2603"),
    ("many pieces", "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis"),
    ("digits", "0 1 12 123 1234567890 3.14159 1e-12 0x7f 6.12.107+deb12"),
    ("brackets and hashes as text", "[unused1] [cls] ##ing ## #"),
    ("URL", "https://www.debian.org/News/2023/20230610?x=1&y=%20#top"),
    ("dashes and underscores", "lib_foo-bar--baz __init__ -- --long-option=value"),
    ("repeated punctuation", "!!! ??? ... ---- ''''"),
    ("numero and superscript", "N\u00ba 5 m\u00b2 x\u207f H\u2082O \u2116"),
    ("modifier letters", "\u02bcn \u02b0 \u1d43 \u00aa"),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="~/.cache/lorafusion/encoder",
                        help="model directory (default: %(default)s)")
    parser.add_argument("--out", default=os.path.join(os.path.dirname(__file__),
                                                      "wordpiece.json"))
    arguments = parser.parse_args()
    directory = os.path.expanduser(arguments.model)
    tokenizer = bert_reference.read_tokenizer(directory)
    with open(os.path.join(directory, "vocab.txt"), "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    rows = []
    for name, text in CASES:
        encoding = tokenizer.encode(text)
        rows.append({"name": name, "text": text, "ids": encoding.ids,
                     "tokens": encoding.tokens})
    with open(arguments.out, "w", encoding="ascii") as file:
        file.write('{"schema_version": 1, "vocabulary_sha256": "%s",\n "cases": [\n' % digest)
        file.write(",\n".join("  " + json.dumps(row) for row in rows))
        file.write("\n]}\n")


if __name__ == "__main__":
    main()
