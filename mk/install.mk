# SPDX-License-Identifier: MIT
#
# `make install DESTDIR=... prefix=...`, the pkg-config file and the pages of `make docs`.

VERSION := 0.1.0
prefix ?= /usr/local
bindir ?= $(prefix)/bin
libdir ?= $(prefix)/lib
includedir ?= $(prefix)/include
mandir ?= $(prefix)/share/man
docdir ?= $(prefix)/share/doc/lorafusion
udevdir ?= $(prefix)/lib/udev/rules.d
completiondir ?= $(prefix)/share/bash-completion/completions
INSTALL ?= install

define PC_TEXT
prefix=$(prefix)
libdir=$(libdir)
includedir=$(includedir)

Name: liblf
Description: Training and inference on LF-1 ReRAM crossbar accelerators
Version: $(VERSION)
Requires.private: $(PACKAGES_lf)
Cflags: -I$${includedir}
Libs: -L$${libdir} -llf
Libs.private: -pthread
endef

# Its text holds the folders of this installation, so it is written each time. The recipe's text
# is expanded, and the file with it, before its first command is run: the folder has a rule.
.PHONY: $(BUILD)/lib/pkgconfig/liblf.pc
$(BUILD)/lib/pkgconfig/liblf.pc: | $(BUILD)/lib/pkgconfig
	$(file >$@,$(PC_TEXT))
$(BUILD)/lib/pkgconfig:
	@mkdir -p $@

MAN_SOURCES := $(wildcard Documentation/man/*.[1-8])
UDEV_RULES := $(wildcard kernel/*.rules)

# lfctl knows its own options, so it writes its page and its completion.
LFCTL_PAGE := $(if $(LFCTL),$(BUILD)/man/lfctl.1)
LFCTL_COMPLETION := $(if $(LFCTL),$(BUILD)/completion/lfctl)
$(BUILD)/man/lfctl.1: OPTION := --manual
$(BUILD)/completion/lfctl: OPTION := --completion
$(LFCTL_PAGE) $(LFCTL_COMPLETION): $(LFCTL)
	@mkdir -p $(@D)
	$(Q)$(LFCTL) $(OPTION) >$@

INSTALLED := $(LIBRARY) $(LIBRARY_SHARED) $(LFCTL) $(LFCTL_PAGE) $(LFCTL_COMPLETION)

install: $(INSTALLED) $(BUILD)/lib/pkgconfig/liblf.pc	## DESTDIR= prefix=
	$(INSTALL) -d $(DESTDIR)$(bindir) $(DESTDIR)$(libdir)/pkgconfig $(DESTDIR)$(includedir)/lf \
		$(DESTDIR)$(includedir)/drm
	$(INSTALL) -m 755 $(LFCTL) $(DESTDIR)$(bindir)/
	$(INSTALL) -m 644 $(LIBRARY) $(DESTDIR)$(libdir)/
	$(INSTALL) -m 755 $(LIBRARY_SHARED) $(DESTDIR)$(libdir)/liblf.so.$(VERSION)
	ln -sf liblf.so.$(VERSION) $(DESTDIR)$(libdir)/liblf.so.0
	ln -sf liblf.so.0 $(DESTDIR)$(libdir)/liblf.so
	$(INSTALL) -m 644 $(BUILD)/lib/pkgconfig/liblf.pc $(DESTDIR)$(libdir)/pkgconfig/
	$(INSTALL) -m 644 $(wildcard runtime/include/lf/*.h uapi/lf/*.h) $(DESTDIR)$(includedir)/lf/
	$(INSTALL) -m 644 $(wildcard uapi/drm/*.h) $(DESTDIR)$(includedir)/drm/
	$(foreach page,$(MAN_SOURCES) $(LFCTL_PAGE),$(INSTALL) -Dm 644 $(page) \
		$(DESTDIR)$(mandir)/man$(subst .,,$(suffix $(page)))/$(notdir $(page));)
	$(foreach rules,$(UDEV_RULES),$(INSTALL) -Dm 644 $(rules) $(DESTDIR)$(udevdir)/$(notdir $(rules));)
	$(foreach file,$(LFCTL_COMPLETION),$(INSTALL) -Dm 644 $(file) $(DESTDIR)$(completiondir)/$(notdir $(file));)

# The driver, for a running kernel of one's own: its headers' install rules know where.
install-module: $(MODULE)
	+$(call kbuild,$(KERNEL_HEADERS),$(KERNEL_BUILD)) INSTALL_MOD_PATH=$(DESTDIR) modules_install

# The driver's sources, from which dkms builds it for each kernel.
DKMS_FOLDER = $(DESTDIR)/usr/src/lf_accel-$(VERSION)
install-dkms:				## the driver's sources below /usr/src, for dkms (DESTDIR=)
	$(INSTALL) -d $(DKMS_FOLDER)/kernel $(DKMS_FOLDER)/uapi/drm $(DKMS_FOLDER)/uapi/lf
	$(INSTALL) -m 644 $(KERNEL_SOURCES) kernel/Makefile kernel/Kconfig $(DKMS_FOLDER)/kernel/
	$(INSTALL) -m 644 $(wildcard uapi/drm/*.h) $(DKMS_FOLDER)/uapi/drm/
	$(INSTALL) -m 644 $(wildcard uapi/lf/*.h) $(DKMS_FOLDER)/uapi/lf/
	sed 's/@VERSION@/$(VERSION)/' kernel/dkms.conf >$(DKMS_FOLDER)/dkms.conf
	$(INSTALL) -Dm 644 kernel/60-lf-accel.rules $(DESTDIR)/usr/lib/udev/rules.d/60-lf-accel.rules

.PHONY: install-module install-dkms
