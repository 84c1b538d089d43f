/* SPDX-License-Identifier: MIT */
/* What lf/preset.h hides: a preset is the model's parameters. */
#ifndef LF_DEVICE_PRESET_H
#define LF_DEVICE_PRESET_H

#include <lf/preset.h>

#include "qemu-device/model/xbar.h"

/** struct lf_preset - @params: owned */
struct lf_preset {
	struct xbar_params *params;
};

/** preset_params() - parameters by name or "file=PATH"; free with xbar_params_free() */
int preset_params(struct xbar_params **params, const char *specification, struct lf_error *error);

#endif
