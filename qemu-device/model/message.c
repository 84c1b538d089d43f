// SPDX-License-Identifier: MIT
/* Messages; see message.h. */
#include <stdarg.h>
#include <stdio.h>

#include "message.h"

int xbar_refuse(char *message, int error, const char *format, ...)
{
	if (message) {
		va_list arguments;

		va_start(arguments, format);
		vsnprintf(message, XBAR_MESSAGE_BYTES, format, arguments);
		va_end(arguments);
	}
	return error;
}
