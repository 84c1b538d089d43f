# SPDX-License-Identifier: MIT
#
# liblf (with the device model inside), lfctl, and the programs below tests/.

OBJ := $(BUILD)/obj

EXAMPLE_SOURCES := $(call sources,runtime/examples/*.c)
LIBRARY_SOURCES := $(filter-out $(EXAMPLE_SOURCES),$(call sources,runtime/*.c runtime/*/*.c))
MODEL_SOURCES := $(call sources,qemu-device/model/*.c)
LFCTL_SOURCES := $(call sources,tools/lfctl/*.c)
UNIT_TEST_SOURCES := $(call sources,tests/unit/test_*.c)
UNIT_ALLOCATION_SOURCES := $(call sources,tests/unit/allocation_fixture.c)
UNIT_HELPER_SOURCES := $(filter-out $(UNIT_TEST_SOURCES) $(UNIT_ALLOCATION_SOURCES),$(call sources,tests/unit/*.c))
GUEST_ALL_SOURCES := $(call sources,tests/guest/*.c)
GUEST_TEST_SOURCES := $(call programs_of,$(GUEST_ALL_SOURCES))
GUEST_HELPER_SOURCES := $(filter-out $(GUEST_TEST_SOURCES),$(GUEST_ALL_SOURCES))
DEBUG_TEST_SOURCES := $(call sources,tests/debug/*.c)
BENCH_ALL_SOURCES := $(call sources,tests/bench/*.c)
BENCH_SOURCES := $(call programs_of,$(BENCH_ALL_SOURCES))
BENCH_HELPER_SOURCES := $(filter-out $(BENCH_SOURCES),$(BENCH_ALL_SOURCES))
GUEST_BENCH_SOURCES := $(call sources,tests/bench/guest/*.c)

objects = $(patsubst %.c,$(OBJ)/%.o,$(1))

LIBRARY := $(if $(LIBRARY_SOURCES),$(BUILD)/lib/liblf.a)
LIBRARY_SHARED := $(if $(LIBRARY_SOURCES),$(BUILD)/lib/liblf.so)
MODEL := $(if $(MODEL_SOURCES),$(BUILD)/lib/libxbar.a)
LFCTL := $(if $(LFCTL_SOURCES),$(BUILD)/bin/lfctl)
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(UNIT_TEST_SOURCES))
GUEST_TESTS := $(patsubst %.c,$(BUILD)/%,$(GUEST_TEST_SOURCES))
DEBUG_TESTS := $(patsubst %.c,$(BUILD)/%,$(DEBUG_TEST_SOURCES))
BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(BENCH_SOURCES))
GUEST_BENCHES := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(call programs_of,$(GUEST_BENCH_SOURCES))) \
	$(BUILD)/bench/guest/timed_lfctl

EXAMPLES := $(patsubst runtime/examples/%.c,$(BUILD)/examples/%,$(EXAMPLE_SOURCES))

USERSPACE_PRODUCTS := $(LIBRARY) $(LIBRARY_SHARED) $(MODEL) $(LFCTL) $(UNIT_TESTS) $(GUEST_TESTS) \
	$(BENCHES) $(GUEST_BENCHES) $(EXAMPLES)

# A change of compiler or flags rebuilds everything: the line in this file is compared.
FLAGS_STAMP := $(OBJ)/flags
FLAGS_LINE = $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL)
$(FLAGS_STAMP): FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_LINE)' | cmp -s - $@ || echo '$(FLAGS_LINE)' >$@
FORCE:
.PHONY: FORCE

$(OBJ)/%.o: %.c $(FLAGS_STAMP)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(call pkg_flags,cflags,lf) $(CFLAGS_ALL) $(call isa_flags,$<) \
		-MMD -MP -c -o $@ $<

$(BUILD)/lib/liblf.a: $(call objects,$(LIBRARY_SOURCES) $(MODEL_SOURCES))
$(BUILD)/lib/libxbar.a: $(call objects,$(MODEL_SOURCES))
$(BUILD)/lib/%.a:
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# The map names what the shared library exports; all else stays inside.
LIBRARY_MAP := $(wildcard runtime/liblf.map)
$(BUILD)/lib/liblf.so: $(call objects,$(LIBRARY_SOURCES) $(MODEL_SOURCES)) $(LIBRARY_MAP)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,liblf.so.0 $(if $(SANITIZE),,-Wl$(comma)-z$(comma)defs) $(if $(LIBRARY_MAP),-Wl$(comma)--version-script=$(LIBRARY_MAP)) \
		$(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(call pkg_flags,libs,lf)
	$(Q)ln -sf liblf.so $(BUILD)/lib/liblf.so.0
comma := ,

define link
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(1) $(call pkg_flags,libs,lf)
endef

$(BUILD)/bin/lfctl: $(call objects,$(LFCTL_SOURCES)) $(LIBRARY)
	$(call link,-lm)

# Check reports through its own library; -lm is for Check and for references that tests compute.
$(BUILD)/tests/unit/test_%: $(OBJ)/tests/unit/test_%.o $(call objects,$(UNIT_HELPER_SOURCES)) $(LIBRARY)
	$(call link,$(call pkg_flags,libs,check) -lm)

# An allocator in place of the C library's, for those alone that test what becomes of allocations.
$(filter %_allocation,$(UNIT_TESTS)): $(call objects,$(UNIT_ALLOCATION_SOURCES))

$(BUILD)/tests/guest/%: $(OBJ)/tests/guest/%.o $(call objects,$(GUEST_HELPER_SOURCES)) $(LIBRARY)
	$(call link,-lm)

$(BUILD)/tests/debug/%: $(OBJ)/tests/debug/%.o $(call objects,$(GUEST_HELPER_SOURCES)) $(LIBRARY)
	$(call link,-lm)

# Examples are what a user of the installed library writes: public headers and the shared library.
$(BUILD)/examples/%: runtime/examples/%.c $(LIBRARY_SHARED)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -D_GNU_SOURCE -Iruntime/include -Iuapi $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $< -L$(BUILD)/lib -llf \
		-Wl,-rpath,'$$ORIGIN/../lib' -MMD -MP -MF $(OBJ)/$*.example.d

TIMED_FUNCTIONS := lf_train lf_job_begin lf_job_mvm lf_job_fuse lf_job_submit lf_job_wait
$(BUILD)/bench/guest/timed_lfctl: $(call objects,$(LFCTL_SOURCES) tests/bench/guest/timeline.c) $(LIBRARY)
	$(call link,-lm $(addprefix -Wl$(comma)--wrap=,$(TIMED_FUNCTIONS)))

$(BUILD)/bench/guest/%: $(OBJ)/tests/bench/guest/%.o $(call objects,$(GUEST_HELPER_SOURCES)) $(LIBRARY)
	$(call link,-lm)

$(BUILD)/bench/%: $(OBJ)/tests/bench/%.o $(call objects,$(BENCH_HELPER_SOURCES)) $(LIBRARY)
	$(call link,-lm)

-include $(wildcard $(OBJ)/*.example.d) $(patsubst %.o,%.d,$(call objects,$(LIBRARY_SOURCES) $(MODEL_SOURCES) $(LFCTL_SOURCES) \
	$(UNIT_TEST_SOURCES) $(UNIT_HELPER_SOURCES) $(UNIT_ALLOCATION_SOURCES) $(GUEST_ALL_SOURCES) $(DEBUG_TEST_SOURCES) $(BENCH_ALL_SOURCES) $(GUEST_BENCH_SOURCES)))
