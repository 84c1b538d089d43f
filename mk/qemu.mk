# SPDX-License-Identifier: MIT
#
# QEMU with the device and the qtest programs. ninja knows what is out of date inside; the
# stamp only saves asking it when nothing that goes in has changed since the last build began.

QEMU := $(BUILD)/qemu/stamp
QEMU_INPUTS := $(sort $(wildcard qemu-device/* qemu-device/model/* tests/qtest/*) $(wildcard uapi/lf/*.h))

$(QEMU): $(QEMU_INPUTS) scripts/qemu-build.sh scripts/qemu-source.sh
	$(call say,QEMU,$(BUILD)/qemu)
	$(Q)mkdir -p $(@D) && touch $@.begun
	$(Q)scripts/qemu-build.sh $(BUILD)/qemu
	$(Q)mv $@.begun $@
