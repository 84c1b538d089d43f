/* SPDX-License-Identifier: MIT */
/* The JSON object of a command, written as JSON or as text; and the objects that several commands share. */
#ifndef LFCTL_OUTPUT_H
#define LFCTL_OUTPUT_H

#include <jansson.h>

#include <lf/device.h>
#include <lf/matrix.h>

/** output_json() - one object on standard output */
int output_json(const json_t *object);

/** output_text() - the same for people: fields in columns, arrays of objects as tables */
void output_text(const json_t *object);

/** output_energy() - {"array", "dac", ..., "total"} in picojoules */
json_t *output_energy(const struct lf_counters *counters);

/** output_counters() - what work cost */
json_t *output_counters(const struct lf_counters *counters);

/** output_device() - what the device is */
json_t *output_device(const struct lf_device_info *info);

/** counters_subtract() - later - earlier, field by field */
void counters_subtract(struct lf_counters *later, const struct lf_counters *earlier);

#endif
