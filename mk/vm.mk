# SPDX-License-Identifier: MIT
#
# The guest's file system, and a shell in it.

INITRAMFS := $(BUILD)/vm/initramfs.cpio
GUEST_SCRIPTS := $(wildcard tests/guest/*.sh)
BOOT := ACCEL=$(ACCEL) tools/vm/boot --build $(BUILD)

GUEST_FILES := $(foreach file,$(MODULE),$(file):/lf_accel.ko) \
	$(foreach file,$(LFCTL),$(file):/usr/bin/lfctl) \
	$(foreach file,$(GUEST_TESTS) $(GUEST_SCRIPTS),$(file):/usr/lib/lf/tests/$(notdir $(file)))
GUEST_BENCH_FILES := $(foreach file,$(GUEST_BENCHES),$(file):/usr/lib/lf/bench/$(notdir $(file)))

$(INITRAMFS): $(MODULE) $(LFCTL) $(GUEST_TESTS) $(GUEST_SCRIPTS) $(GUEST_BENCHES) tools/vm/initramfs tools/vm/init
	$(call say,CPIO,$@)
	$(Q)tools/vm/initramfs $(KERNEL_RELEASE) $@ $(GUEST_FILES) $(GUEST_BENCH_FILES)

initramfs: $(INITRAMFS)			## the guest's file system

vm: $(INITRAMFS) $(QEMU)			## a shell in the guest (VM_OPTIONS: see tools/vm/boot --help)
	$(BOOT) --timeout 0 --interactive $(VM_OPTIONS)

.PHONY: initramfs
