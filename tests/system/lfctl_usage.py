#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of lfctl as a command: help, usage, exit codes, devices, output, and counting without weights."""

import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile

import ktap
import lfctl_fixture as fixture
from lfctl_fixture import lfctl

COMMANDS = ("list", "info", "telemetry", "deploy", "calibrate", "matrix list", "matrix info",
            "matrix delete", "matrix cells", "matrix refresh", "wear", "advance", "train", "eval", "study")
# What Hugging Face publishes for google/flan-t5-large.
FLAN_T5_LARGE = {
    "architectures": ["T5ForConditionalGeneration"], "d_ff": 2816, "d_kv": 64, "d_model": 1024,
    "decoder_start_token_id": 0, "dropout_rate": 0.1, "eos_token_id": 1,
    "feed_forward_proj": "gated-gelu", "initializer_factor": 1.0, "is_encoder_decoder": True,
    "layer_norm_epsilon": 1e-06, "model_type": "t5", "n_positions": 512, "num_decoder_layers": 24,
    "num_heads": 16, "num_layers": 24, "output_past": True, "pad_token_id": 0,
    "relative_attention_max_distance": 128, "relative_attention_num_buckets": 32,
    "tie_word_embeddings": False, "use_cache": True, "vocab_size": 32128}
NOBODY = 65534


def usage(*words, says=()):
    """The call is one of wrong usage, and its message says what is wrong."""
    run = lfctl(*words, status=fixture.USAGE)
    ktap.equal(run.output, "")
    for text in (says,) if isinstance(says, str) else says:
        if text not in run.errors:
            raise AssertionError("no %r in %r" % (text, run.errors))


def test_help_of_every_command():
    overview = lfctl("--help").output
    ktap.equal(lfctl("-h").output, overview)
    ktap.equal(lfctl("help").output, overview)
    for command in COMMANDS:
        if "\n  %s " % command not in overview:
            raise AssertionError("%s is not in the overview" % command)
        text = lfctl(*command.split(), "--help").output
        assert text.startswith("usage: lfctl " + command), text
        assert "--json" in text, text
    assert "schema 1" in lfctl("--version").output


def test_wrong_usage_is_told_apart():
    usage(says="usage: lfctl")
    usage("trian", says="trian: no such command")
    usage("matrix", says=("matrix list", "matrix info"))
    usage("matrix", "lits", says="matrix lits: no such command")
    usage("matrix", "info", says="wanted NAME")
    usage("list", "everything", says="1 operands")
    usage("list", "--devcie", "x", says="--devcie: no such option")
    usage("list", "-j", says="-j: no such option")
    usage("info", "--device", says="--device needs a value")
    usage("info", "--json=1", says="--json takes no value")
    for number in ("-1", "3x", "257", "1e2", "", "99999999999999999999999"):
        usage("train", "--modules", number, says="--modules %s" % number)
    for number in ("nan", "inf", "-1", "x", ""):
        usage("train", "--rate", number, says="--rate %s" % number)
    usage("train", "--simd", "mmx", says="auto|scalar|avx2|avx512|neon")
    usage("train", "--method", "boft", says="head|full|lora|dora|vera")
    usage("train", "--targets", "q,x", says="'x'")
    usage("train", "--targets", "", says="--targets: none given")
    usage("matrix", "refresh", says="a NAME or --due is missing")
    usage("matrix", "refresh", "one", "two", says="wanted [NAME]")
    for age in ("3x", "-1s", "1", "101y", "0x3s", "nans", "1e99y", ""):
        usage("advance", "--time", age, says="--time %s" % age)


def test_missing_options_are_named():
    usage("deploy", says="--model is missing")
    usage("deploy", "--model", "m", "--modules", "2", says="--pool is missing")
    usage("train", "--task", "t", "--pool", "p", says="--model is missing")
    usage("train", "--model", "m", "--pool", "p", says="--task is missing")
    usage("train", "--model", "m", "--task", "t", says="--pool is missing")
    usage("train", "--model", "m", "--task", "t", "--method", "head", says="must be linear")
    usage("train", "--model", "m", "--task", "t", "--pool", "p", "--adapter", "same",
          "--predictions", "same", says="the same file")
    usage("eval", "--model", "m", "--task", "t", says="--adapter is missing")
    usage("calibrate", "--samples", "s", says="--model is missing")
    usage("calibrate", "--model", "m", says="--samples is missing")
    usage("calibrate", "--model", "m", "--samples", "s", "--modules", "2", says="--pool is missing")
    usage("advance", says="--time is missing")
    usage("study", "--model", "m", "--task", "t", "--pool", "p", says="--out is missing")
    usage("study", "--out", "o", "--task", "t", "--pool", "p", says="--model is missing")


def test_what_a_study_cannot_vary_is_named():
    study = ("study", "--out", "nowhere", "--model", "m", "--task", "t", "--pool", "p")
    for option, value, says in (
            ("--sweeps", "adc,colour", '"colour"'), ("--sweeps", "", "--sweeps"),
            ("--adc-bits", "13", '--adc-bits: "13"'), ("--adc-bits", "0", '--adc-bits: "0"'),
            ("--adc-bits", "4,,5", '--adc-bits: ""'), ("--adc-bits", "8,4", "4 follows 8"),
            ("--calibrated-bits", "x", "--calibrated-bits"), ("--programming", "1.1", "--programming"),
            ("--programming", "nan", "--programming"), ("--programming", "1e-3", "--programming"),
            ("--stuck", "0.0000001", "--stuck"), ("--stuck", "-0.1", "--stuck"),
            ("--ages", "1s,1s", "1s follows 1s"), ("--ages", "5", "--ages"),
            ("--ages", ",".join("%ds" % second for second in range(1, 26)), "more than 24"),
            ("--repeats", "0", "--repeats 0"), ("--repeats", "33", "--repeats 33"),
            ("--device", "/dev/accel/accel0", "--device /dev/accel/accel0"),
            ("--device", "inproc:isaac,memory=x", "memory="), ("--device", "inproc:foo", "foo"),
            ("--device", "inproc:isaac,seed=3", "--seed"), ("--device", "inproc:isaac,threads=1", "--jobs"),
            ("--device", "inproc:isaac,tiles=99,tiles=98", "tiles: given twice"),
            ("--device", "inproc:isaac,colour=1", "colour")):
        usage(*study, option, value, says=says)
    assert not os.path.exists("nowhere")


def test_device_specifications_are_checked():
    for device, says in (("", "neither"), ("foo", "neither"), ("inproc:foo", "preset \"foo\""),
                         ("inproc:ideal,tiles", "not key=value"),
                         ("inproc:ideal,adc_bits=99", "adc_bits"),
                         ("inproc:ideal,colour=3", "colour"),
                         ("inproc:ideal,tiles=8,seed=1,tiles=8", "tiles: given twice"),
                         ("inproc:ideal,threads=0", "threads"),
                         ("inproc:ideal,memory=", "memory: is empty")):
        usage("info", "--device", device, says=says)


def test_absent_and_foreign_nodes():
    absent = lfctl("info", "--device", "/dev/accel/accel9", status=fixture.NO_DEVICE)
    assert "/dev/accel/accel9: absent" in absent.errors, absent
    foreign = lfctl("info", "--device", "/dev/null", status=fixture.NO_DEVICE)
    assert "/dev/null: not an accelerator" in foreign.errors, foreign


def ordinary_user(folder, *words, status):
    """Run a copy of the tool as a user without privileges."""
    if os.geteuid():
        return lfctl(*words, status=status)
    copy = folder / "lfctl"
    shutil.copy(fixture.LFCTL, copy)
    copy.chmod(0o755)
    run = subprocess.run([str(copy), *map(str, words)], user=NOBODY, group=NOBODY, extra_groups=[],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    ktap.equal((run.returncode, run.stdout), (status, ""))
    return fixture.Run(run.returncode, run.stdout, run.stderr)


def test_closed_nodes_and_cells_are_a_matter_of_permission():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        node, cells = folder / "accel0", folder / "cells.img"
        lfctl("info", "--device", "inproc:ideal,tiles=16,memory=%s" % cells)
        node.touch()
        node.chmod(0)
        cells.chmod(0)
        run = ordinary_user(folder, "info", "--device", node, status=fixture.PERMISSION)
        assert "%s: not permitted" % node in run.errors, run
        run = ordinary_user(folder, "info", "--device", "inproc:ideal,tiles=16,memory=%s" % cells,
                            status=fixture.PERMISSION)
        assert str(cells) in run.errors, run


def test_cells_of_something_else_are_left_alone():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for content in (b"hello", os.urandom(1 << 20)):
            path = folder / "foreign"
            path.write_bytes(content)
            run = lfctl("info", "--device", "inproc:ideal,tiles=16,memory=%s" % path,
                        status=fixture.DEVICE_ERROR)
            assert str(path) in run.errors, run
            ktap.equal(path.read_bytes(), content)
        cells = folder / "cells.img"
        lfctl("info", "--device", "inproc:ideal,tiles=16,memory=%s" % cells)
        before = cells.read_bytes()
        run = lfctl("info", "--device", "inproc:ideal,tiles=8,memory=%s" % cells,
                    status=fixture.DEVICE_ERROR)
        assert "made with 16" in run.errors, run
        ktap.equal(cells.read_bytes(), before)
        lfctl("info", "--device", "inproc:ideal,memory=%s" % folder, status=fixture.FAILED)
        lfctl("info", "--device", "inproc:ideal,memory=%s/no/cells" % folder, status=fixture.FAILED)


def test_the_default_device_is_named():
    if any(stat.S_ISCHR(path.stat().st_mode) for path in pathlib.Path("/dev").glob("accel/accel*")):
        raise ktap.Skip("this machine has an accelerator")
    assert "working on inproc:ideal" in lfctl("info").errors
    assert "no accelerator found" in lfctl("list").errors
    ktap.equal(lfctl("info", "--quiet").errors, "")
    ktap.equal(lfctl("info", "--device", "inproc:ideal").errors, "")
    ktap.equal([row["path"] for row in lfctl("list", "--json").json()["devices"]], ["inproc"])


def test_json_and_text_say_the_same():
    device = ("--device", "inproc:isaac,tiles=512")
    found = lfctl("telemetry", "--json", *device).json()
    ktap.equal(found["schema_version"], 1)
    ktap.equal(found["device"]["preset"], "isaac")
    ktap.equal(found["total"]["cells_written"], 0)
    text = lfctl("telemetry", *device).output
    for line in (r"tiles +512", r"converter \(ADC\) +8 bit", r"energy +0 pJ", r"temperature +25\.0 deg",
                 r"cells written +0", r"moved to and from the host +0 B"):
        if not re.search(line, text):
            raise AssertionError("no %r in %s" % (line, text))


def test_output_that_does_not_arrive_is_a_failure():
    for words in (["info"], ["info", "--json"], ["--help"], ["train", "--help"]):
        with open("/dev/full", "w", encoding="utf-8") as full:
            run = subprocess.run([str(fixture.LFCTL), *words], stdout=full, stderr=subprocess.PIPE,
                                 check=False)
        ktap.equal((words, run.returncode), (words, fixture.FAILED))
        assert b"standard output" in run.stderr, run.stderr


def count(config, *words, **options):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        return lfctl("train", "--dry-run", "--model", folder, "--json", *words, **options)


def test_dry_run_counts_what_the_paper_counts():
    trainable = count(FLAN_T5_LARGE, "--modules", "20", "--rank", "16",
                      "--targets", "q,v").json()["trainable"]
    ktap.equal(trainable, {"lorafusion": 148416, "lora": 4718592, "coefficients": 20 * 48,
                           "magnitudes": 144 * 1024})


def test_dry_run_counts_an_encoder():
    found = count(fixture.MODEL_CONFIG, "--modules", "3", "--rank", "4", "--targets", "query,wi")
    width, inner = fixture.HIDDEN, fixture.INNER
    ktap.equal(found.json()["trainable"],
               {"lorafusion": 3 + width + inner, "coefficients": 3, "magnitudes": width + inner,
                "lora": 4 * (2 * width) + 4 * (width + inner)})


def test_dry_run_says_what_is_missing():
    assert "--modules is missing" in count(FLAN_T5_LARGE, "--modules", "0",
                                           status=fixture.USAGE).errors
    usage("train", "--dry-run", "--modules", "20", says="--model is missing")
    assert "d_kv" in count({key: value for key, value in FLAN_T5_LARGE.items() if key != "d_kv"},
                           "--modules", "20", status=fixture.FAILED).errors
    assert "attention" in count(FLAN_T5_LARGE, "--modules", "20", "--targets", "wi",
                                status=fixture.FAILED).errors
    assert "gpt2" in count({"model_type": "gpt2"}, "--modules", "20", status=fixture.FAILED).errors


def test_manual_and_completion_know_every_command_and_option():
    manual, completion = lfctl("--manual").output, lfctl("--completion").output
    for command in COMMANDS:
        if ".SS \"%s" % command not in manual or "'%s'*)" % command not in completion:
            raise AssertionError("%s is missing" % command)
        for option in re.findall(r"^  (--[a-z-]+)", lfctl(*command.split(), "--help").output,
                                 re.MULTILINE):
            if option.replace("-", "\\-") not in manual or option not in completion:
                raise AssertionError("%s of %s is missing" % (option, command))
    script = completion + ('complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lfctl; '
                           'echo "${COMPREPLY[@]}"; }\n'
                           'complete_words lfctl tr; complete_words lfctl matrix ""; '
                           'complete_words lfctl train --method ""\n')
    run = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=False)
    ktap.equal((run.stdout, run.stderr),
               ("train\nlist info delete cells refresh\n"
                "zero-shot majority head full lora dora vera ia3 bitfit magnitude lorafusion uniform "
                "best-single lorahub\n", ""))


if __name__ == "__main__":
    sys.exit(ktap.main(sys.modules[__name__]))
