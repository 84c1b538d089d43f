# SPDX-License-Identifier: MIT
#
# Compiler, flags and the helpers every other .mk file uses.

ifeq ($(origin CC),default)
CC :=
endif
CC := $(or $(CC),$(shell command -v clang || command -v gcc))
AR := $(or $(filter-out default,$(AR)),ar)
PKG_CONFIG ?= pkg-config
ARCH := $(shell uname -m)

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n' '$(1)' '$(2)';
endif

# Contraction and fast-math would change bits between compilers and processors.
NUMBERS := -ffp-contract=off -fno-fast-math
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wundef -Wvla -Wformat=2 -Wno-unused-parameter -Wno-sign-compare
ifeq ($(WERROR),1)
WARNINGS += -Werror
endif

OPTIMISE ?= -O2 -g
CPPFLAGS_ALL = -D_GNU_SOURCE -Iuapi -Iruntime/include -I. $(CPPFLAGS)
CFLAGS_ALL = -std=c11 $(OPTIMISE) $(WARNINGS) $(NUMBERS) -fPIC -pthread -fno-strict-aliasing \
	-fvisibility=default $(CFLAGS)
LDFLAGS_ALL = -pthread -Wl,--as-needed $(LDFLAGS)

ifneq ($(SANITIZE),)
SANITIZE_FLAGS := -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
CFLAGS_ALL += $(SANITIZE_FLAGS)
LDFLAGS_ALL += $(SANITIZE_FLAGS)
endif

# A make inside make, on all processors unless the caller said on how many.
SUBMAKE = $(MAKE) --no-print-directory \
	$(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

# The instruction set of a file is the last part of its name. Whether the processor
# has it is asked at run time, so these flags must reach no other file.
ISA_avx2 := -mavx2
ISA_avx512 := -mavx512f -mavx512bw -mavx512vl -mavx512dq
ISA_vnni := $(ISA_avx512) -mavx512vnni
isa_flags = $(ISA_$(lastword $(subst _, ,$(basename $(notdir $(1))))))

ifeq ($(ARCH),x86_64)
OTHER_ISA := %_neon.c
else ifeq ($(ARCH),aarch64)
OTHER_ISA := %_avx2.c %_avx512.c %_vnni.c
else
OTHER_ISA := %_avx2.c %_avx512.c %_vnni.c %_neon.c
endif
sources = $(filter-out $(OTHER_ISA),$(sort $(wildcard $(1))))

# Programs among a folder's files are those with a main; the others are helpers of all of them.
programs_of = $(if $(1),$(shell grep -lwE 'main|TEST_HARNESS_MAIN' $(1)))

# Asked once and only when a recipe needs it: the packages may not be there for `make setup`.
pkg_flags = $(if $(flavour_$(1)_$(2)),,$(eval flavour_$(1)_$(2) := \
	$(or $(shell $(PKG_CONFIG) --$(1) $(PACKAGES_$(2)) 2>/dev/null), \
		$(error not installed: some of $(PACKAGES_$(2)); run `make setup`))))$(flavour_$(1)_$(2))
PACKAGES_lf := libdrm libnl-3.0 libnl-genl-3.0 jansson libutf8proc
PACKAGES_check := check
