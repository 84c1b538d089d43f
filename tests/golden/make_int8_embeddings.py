#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Write embeddings_int8.json: embeddings of the sentences of embeddings.json on int8 cells.

Every linear layer is read as lf_hw.h says, the rest is in double precision. Run by hand
when the model, the sentences or the number formats change; the result is committed. Needs
PyTorch (Debian: python3-torch).
"""

import argparse
import json
import os

import torch

import adapted_bert
import bert_reference

# The shortest ones: in these no number is so near a rounding boundary that fp32 and double part.
SENTENCES = 4
DIGITS = 9


def main():
    folder = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="~/.cache/lorafusion/encoder",
                        help="model directory (default: %(default)s)")
    parser.add_argument("--out", default=os.path.join(folder, "embeddings_int8.json"))
    arguments = parser.parse_args()
    directory = os.path.expanduser(arguments.model)
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    tensors = bert_reference.read_tensors(os.path.join(directory, "model.safetensors"))
    bert = adapted_bert.DeviceBert(config, tensors, adapted_bert.Int8Matrix)
    with open(os.path.join(folder, "embeddings.json"), encoding="ascii") as file:
        golden = json.load(file)
    rows, cosines = [], []
    for sentence in golden["sentences"]:
        embedding = bert.embed(sentence["ids"])
        cosines.append(float(embedding @ torch.tensor(sentence["embedding"]).double()))
        rows.append({"ids": sentence["ids"],
                     "embedding": [float("%.*g" % (DIGITS, v)) for v in embedding.tolist()]})
    print("cosine to fp32: smallest %.5f, mean %.5f" % (min(cosines),
                                                         sum(cosines) / len(cosines)))
    rows.sort(key=lambda row: len(row["ids"]))
    with open(arguments.out, "w", encoding="ascii") as file:
        file.write('{"schema_version": 1, "model_sha256": "%s",\n "sentences": [\n' %
                   golden["model_sha256"])
        file.write(",\n".join("  " + json.dumps(row) for row in rows[:SENTENCES]))
        file.write("\n]}\n")


if __name__ == "__main__":
    main()
