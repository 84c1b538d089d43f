# SPDX-License-Identifier: MIT
"""Label names in words, for a head that embeds them with the same encoder.

Labels whose words would mislead are written out; the others are their own words.
The debtags vocabulary says what they mean, but not every machine has it, and a text
that depends on the machine would change the results.
"""

import taxonomy

TEXTS = {
}


def text_of(task, label):
    """Words for a label of a task."""
    return TEXTS.get((task.name, label)) or label.replace("-", " ").replace(":", " ")
