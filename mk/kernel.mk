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

define kbuild
$(MAKE) -C $(KERNEL_HEADERS) M=$(abspath $(KERNEL_BUILD)) CC=$(KERNEL_CC) V=$(or $(V),0) \
	KCFLAGS=-I$(abspath uapi) --no-print-directory $(KBUILD_OPTIONS)
endef

$(KERNEL_BUILD)/lf_accel.ko: $(KERNEL_SOURCES) $(wildcard uapi/*/*.h)
	@test -n "$(KERNEL_HEADERS)" || { echo 'no kernel headers of 6.12: run make setup' >&2; exit 1; }
	$(call say,KBUILD,$@)
	$(Q)mkdir -p $(KERNEL_BUILD) && find $(KERNEL_BUILD) -maxdepth 1 -type l -delete
	$(Q)ln -s $(addprefix $(CURDIR)/,$(KERNEL_SOURCES)) $(KERNEL_BUILD)/
	$(Q)ln -sfn $(CURDIR)/uapi $(BUILD)/uapi
	+$(Q)$(kbuild) modules
	$(Q)touch $@
