# SPDX-License-Identifier: MIT
#
# The targets people type, and nothing else: what each of them needs is in mk/.
# All products go below build/, downloads and the QEMU tree below the cache folder.
#
#   V=1            show the commands            CC=gcc        another compiler
#   ACCEL=kvm      boot guests with KVM         BUILD=folder  another output folder
#   SANITIZE=...   -fsanitize= of userspace     WERROR=1      warnings are errors

.DEFAULT_GOAL := all
.SUFFIXES:
.SECONDARY:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-builtin-variables

BUILD ?= build
STARTED := $(shell date +%s)
ACCEL ?= tcg
CACHE := $(or $(LF_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/lorafusion)
export LF_CACHE := $(CACHE)

include mk/toolchain.mk
include mk/userspace.mk
include mk/kernel.mk
include mk/qemu.mk
include mk/vm.mk
include mk/tests.mk
include mk/debug.mk
include mk/install.mk

.PHONY: all userspace module qemu vm run data pool study experiments goldens bench docs lint format install
.PHONY: run-parts bench-parts data-made interchange interchange-parts
.PHONY: test test-asan test-long setup clean help

all: userspace module			## runtime, tools and module

userspace: $(USERSPACE_PRODUCTS)	## liblf, lfctl, test and benchmark programs

module: $(MODULE)			## lf_accel.ko for the guest's kernel

qemu: $(QEMU)				## QEMU with the device

run:					## train LoRAFusion in a guest, on the accelerator
	scripts/setup.sh build kernel qemu vm data
	+$(Q)$(SUBMAKE) run-parts
	scripts/run --build $(BUILD) --started $(STARTED) $(RUN_OPTIONS)
run-parts: $(LFCTL) $(QEMU) $(INITRAMFS) data-made

pool:					## train the pool's modules anew; they are committed
	scripts/setup.sh build data
	+$(Q)$(SUBMAKE) $(LFCTL) data-made
	tools/data/pool --lfctl $(LFCTL) --model $(CACHE)/encoder --tasks $(BUILD)/data/synopsis

data:					## encoder and tasks of `make run`
	scripts/setup.sh data
	+$(Q)$(SUBMAKE) data-made
data-made:
	tools/data/encoder $(CACHE)/encoder
	tools/data/tasks --form synopsis --out $(BUILD)/data/synopsis

bench:					## the benchmark tables, in build/bench.json
	scripts/setup.sh build kernel qemu vm data golden
	+$(Q)$(SUBMAKE) bench-parts
	scripts/bench --build $(BUILD)
interchange:				## adapters of PEFT here and of ours there: the same outputs
	scripts/setup.sh build data golden
	+$(Q)$(SUBMAKE) interchange-parts
	tests/golden/peft_interchange.py --build $(BUILD)
interchange-parts: $(LFCTL) $(LIBRARY_SHARED) data-made

bench-parts: $(BENCHES) $(LFCTL) $(QEMU) $(INITRAMFS) data-made

study:					## accuracy and signal to noise against the device's errors
	scripts/setup.sh build data
	+$(Q)$(SUBMAKE) $(LFCTL) data-made
	$(LFCTL) study --model $(CACHE)/encoder --pool pool --task $(BUILD)/data/synopsis/use \
		--out $(BUILD)/study $(STUDY_OPTIONS)

# What the files in experiments/ name is below build/, whatever BUILD is; finished runs are not done again.
EXPERIMENT ?= synopses
experiments:				## methods on held-out tasks (EXPERIMENT=isaac ...), tables in build/experiments
	scripts/setup.sh build data
	+$(Q)$(SUBMAKE) $(LFCTL) data-made
	tools/data/tasks --form synopsis --train 100000 --out build/data/synopsis-whole
	tools/data/tasks --form description --train 100000 --out build/data/description-whole
	tools/data/shuffle-pool pool build/experiments/pool-shuffled
	$(LFCTL) experiment experiments/synopses.json --model $(CACHE)/encoder --out build/experiments/synopses --tune
	$(LFCTL) experiment experiments/$(EXPERIMENT).json --model $(CACHE)/encoder \
		--out build/experiments/$(EXPERIMENT) $(EXPERIMENT_OPTIONS)

goldens:				## golden vectors anew, from PyTorch; they are committed
	scripts/setup.sh data golden
	tools/data/encoder $(CACHE)/encoder
	for script in tests/golden/make_*.py; do /usr/bin/python3 $$script || exit; done

lint:					## style and static checks
	scripts/setup.sh build kernel lint
	scripts/lint.sh $(BUILD)

format:					## bring C files into the style that lint asks for
	scripts/lint.sh $(BUILD) reformat

docs:					## HTML and man pages, in build/docs
	scripts/setup.sh build kernel docs
	+$(Q)$(SUBMAKE) $(LFCTL_PAGE)
	PATH=/usr/bin:$$PATH scripts/docs/build.sh $(BUILD)/docs $(LFCTL_PAGE)

setup:					## install what the rest needs
	scripts/setup.sh

clean:					## remove build/ (the cache folder stays)
	rm -rf $(BUILD)

help:					## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1#\2/p' $(MAKEFILE_LIST) | column -t -s '#'
