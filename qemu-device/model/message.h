/* SPDX-License-Identifier: MIT */
/* Why something from outside is refused, in words for whoever gave it. */
#ifndef XBAR_MESSAGE_H
#define XBAR_MESSAGE_H

#include "xbar.h"

/**
 * xbar_refuse() - say why
 * @message: receives the text, cut to XBAR_MESSAGE_BYTES; NULL if nobody wants it
 * @error: negative errno
 * @format: as printf() has it; the text begins with the name of what is refused
 *
 * Return: @error.
 */
int xbar_refuse(char *message, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
