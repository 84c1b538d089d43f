# SPDX-License-Identifier: MIT
#
# Kernels that check more than the distribution's (scripts/debug-kernel.sh), the module compiled for each of them, with
# coverage, and a file system with the programs that only such a kernel can run.

DEBUG_KINDS := faults leaks
DEBUG := $(BUILD)/debug
DEBUG_FILES := $(GUEST_FILES) $(foreach file,$(DEBUG_TESTS) tests/kunit/kunit,$(file):/usr/lib/lf/debug/$(notdir $(file)))

# What has no hardware in it is tested in a module of its own, with the driver's sources it is about beside it.
KUNIT_SOURCES := $(sort $(wildcard tests/kunit/*.c tests/kunit/Kbuild)) kernel/lf_validate.c kernel/lf_queue.c \
	$(wildcard kernel/lf_*.h)

# gcov counts the lines that ran; KCOV tells the fuzzer where its program led.
DEBUG_OPTIONS_faults := GCOV_PROFILE=y KCOV_INSTRUMENT=y

define debug_kind
$(DEBUG)/$(1)/release: scripts/debug-kernel.sh tools/vm/kernel/base.config tools/vm/kernel/$(1).config kernel/Kconfig
	scripts/debug-kernel.sh $(1) $(DEBUG)/$(1)

$(DEBUG)/$(1)/kernel/lf_accel.ko: $(DEBUG)/$(1)/release $(KERNEL_SOURCES) $(wildcard uapi/*/*.h)
	$$(call say,KBUILD,$$@)
	$$(call kbuild_folder,$(DEBUG)/$(1)/kernel)
	+$(Q)$$(call kbuild,$(DEBUG)/$(1)/build,$(DEBUG)/$(1)/kernel) $(DEBUG_OPTIONS_$(1)) modules
	$(Q)touch $$@

$(DEBUG)/$(1)/kunit/lf_accel_kunit.ko: $(DEBUG)/$(1)/release $(KUNIT_SOURCES) $(wildcard uapi/*/*.h)
	$$(call say,KBUILD,$$@)
	$$(call link_sources,$(DEBUG)/$(1)/kunit,$(KUNIT_SOURCES))
	+$(Q)$$(call kbuild,$(DEBUG)/$(1)/build,$(DEBUG)/$(1)/kunit) modules
	$(Q)touch $$@

$(DEBUG)/$(1)/initramfs.cpio: $(DEBUG)/$(1)/kernel/lf_accel.ko $(DEBUG)/$(1)/kunit/lf_accel_kunit.ko $(LFCTL) \
		$(GUEST_TESTS) $(GUEST_SCRIPTS) $(DEBUG_TESTS) tests/kunit/kunit tools/vm/initramfs tools/vm/init
	$$(call say,CPIO,$$@)
	$(Q)tools/vm/initramfs --root $(DEBUG)/$(1)/root "$$$$(cat $(DEBUG)/$(1)/release)" $$@ \
		$(DEBUG)/$(1)/kernel/lf_accel.ko:/lf_accel.ko \
		$(DEBUG)/$(1)/kunit/lf_accel_kunit.ko:/lf_accel_kunit.ko $(filter-out $(MODULE):%,$(DEBUG_FILES))
endef
$(foreach kind,$(DEBUG_KINDS),$(eval $(call debug_kind,$(kind))))

DEBUG_PRODUCTS := $(foreach kind,$(DEBUG_KINDS),$(DEBUG)/$(kind)/initramfs.cpio)

test-debug:				## the guest's tests on kernels with KASAN, lockdep and failing allocations
	scripts/setup.sh build kernel qemu vm test debug
	+$(Q)$(SUBMAKE) $(QEMU) $(DEBUG_PRODUCTS)
	$(RUN_TESTS) debug

# Stock for most, a debug kernel for what only its checks see.
test-mutants:				## known bugs planted into the driver, one at a time: the tests notice each
	scripts/setup.sh build kernel qemu vm test debug
	+$(Q)$(SUBMAKE) $(QEMU) $(INITRAMFS) $(DEBUG_PRODUCTS)
	scripts/run-mutants --build $(BUILD)

.PHONY: test-debug test-mutants
