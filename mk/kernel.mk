# SPDX-License-Identifier: MIT
#
# lf_accel.ko, built out of tree against the distribution's kernel headers. kbuild writes
# beside its sources, so it is given a folder of links below build/ instead of kernel/.

KERNEL_HEADERS := $(shell ls -d /usr/src/linux-headers-6.12.*-$(if $(filter aarch64,$(ARCH)),arm64,amd64) \
	2>/dev/null | sort -V | tail -1)
KERNEL_RELEASE := $(patsubst /usr/src/linux-headers-%,%,$(KERNEL_HEADERS))
KERNEL_SOURCES := $(sort $(wildcard kernel/*.c kernel/*.h kernel/Kbuild))
KERNEL_BUILD := $(BUILD)/kernel
MODULE := $(if $(wildcard kernel/Kbuild),$(KERNEL_BUILD)/lf_accel.ko)
KERNEL_CC ?= gcc

# kbuild: make with the headers $(1) in the folder $(2)
kbuild = $(MAKE) -C $(1) M=$(abspath $(2)) CC=$(KERNEL_CC) V=$(or $(V),0) \
	KCFLAGS=-I$(abspath uapi) --no-print-directory $(KBUILD_OPTIONS)

# link_sources: links to the sources $(2) in the folder $(1)
define link_sources
	$(Q)mkdir -p $(1) && find $(1) -maxdepth 1 -type l -delete
	$(Q)ln -s $(addprefix $(CURDIR)/,$(2)) $(1)/
	$(Q)ln -sfn $(CURDIR)/uapi $(dir $(1))uapi
endef

# kbuild_folder: links to the driver's sources in the folder $(1)
kbuild_folder = $(call link_sources,$(1),$(KERNEL_SOURCES))

$(KERNEL_BUILD)/lf_accel.ko: $(KERNEL_SOURCES) $(wildcard uapi/*/*.h)
	@test -n "$(KERNEL_HEADERS)" || { echo 'no kernel headers of 6.12: run make setup' >&2; exit 1; }
	$(call say,KBUILD,$@)
	$(call kbuild_folder,$(KERNEL_BUILD))
	+$(Q)$(call kbuild,$(KERNEL_HEADERS),$(KERNEL_BUILD)) modules
	$(Q)touch $@
