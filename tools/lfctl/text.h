/* SPDX-License-Identifier: MIT */
/* A command's JSON object for people: sections, units and what kind of figure each is. */
#ifndef LFCTL_TEXT_H
#define LFCTL_TEXT_H

#include <jansson.h>

/** text_write() - write @object on standard output */
void text_write(const json_t *object);

#endif
