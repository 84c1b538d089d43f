/* SPDX-License-Identifier: MIT */
/* Opening what most commands begin with: the device, and the model's tokenizer. */
#ifndef LFCTL_OPEN_H
#define LFCTL_OPEN_H

#include <lf/device.h>
#include <lf/tokenizer.h>

#include "tools/lfctl/command.h"

/**
 * open_device() - open the device of --device, or the default one and say on standard error which that is
 * Return: 0, or what lf_device_open() failed with, as a COMMAND_EXIT() where that tells more.
 */
int open_device(const struct common *common, struct lf_device **device, struct lf_error *error);

/**
 * open_tokenizer() - open the tokenizer of a model that can be deployed
 * Return: 0, -ENOTSUP (a model of another kind), -EINVAL (more tokens than the model has), what the files' readers return.
 */
int open_tokenizer(const char *model, struct lf_tokenizer **tokenizer, struct lf_error *error);

#endif
