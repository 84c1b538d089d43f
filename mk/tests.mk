# SPDX-License-Identifier: MIT
#
# The tests by kind. `make test` first installs what is missing, then builds and runs it all; the
# parts below it expect everything to be installed.

RUN_TESTS := scripts/run-tests --build $(BUILD)
ASAN_MAKE = $(SUBMAKE) BUILD=$(BUILD)/asan SANITIZE=address,undefined OPTIMISE='-O1 -g'

test:					## everything that proves it works, on a fresh machine
	scripts/setup.sh build kernel qemu vm data test
	+$(Q)$(SUBMAKE) test-all

test-all: userspace $(QEMU) $(INITRAMFS) asan data-made
	$(RUN_TESTS)

units: $(UNIT_TESTS)			## unit tests alone
	$(RUN_TESTS) unit

qtests: $(QEMU)				## device tests under qtest alone
	$(RUN_TESTS) qtest

guest-tests: $(QEMU) $(INITRAMFS)	## tests in the guest alone
	$(RUN_TESTS) guest

system-tests: userspace $(QEMU) $(INITRAMFS) data-made	## tests/system alone
	$(RUN_TESTS) system

asan:					## runtime, model, lfctl and units with ASan and UBSan
	+$(Q)$(ASAN_MAKE) asan-products
asan-products: $(LFCTL) $(UNIT_TESTS)

test-asan: asan				## unit tests with ASan and UBSan alone
	$(RUN_TESTS) unit-asan

test-long: test			## then every power cut of the model's memory, 50 kills of QEMU and of training each, and fuzzing for FUZZ_SECONDS a harness (default 3600)
	LF_TEST_CUTS=all $(BUILD)/tests/unit/test_xbar_cuts
	LF_BUILD=$(abspath $(BUILD)) LF_KILLS=50 tests/system/qemu_kills.py
	LF_BUILD=$(abspath $(BUILD)) LF_TRAINING_KILLS=50 tests/system/training_kills.py
	tests/fuzz/run $(or $(FUZZ_SECONDS),3600)

.PHONY: test-all units qtests guest-tests system-tests asan asan-products

