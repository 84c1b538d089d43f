/* SPDX-License-Identifier: MIT */
/* The JSON object of a command, written as JSON; and the objects that several commands share. As text: text.h. */
#ifndef LFCTL_OUTPUT_H
#define LFCTL_OUTPUT_H

#include <jansson.h>

#include <lf/device.h>
#include <lf/matrix.h>

/** output_json() - one object on standard output; -1 if that fails */
int output_json(const json_t *object);

/** output_json_line() - the same on a single line, at once also for a pipe */
int output_json_line(const json_t *object);

/**
 * output_order() - decide which keys come first, in text as in JSON
 * @keys: ended by NULL; those that no value follows for are taken away by output_tidy()
 */
void output_order(json_t *object, const char *const *keys);

/** output_tidy() - see output_order() */
void output_tidy(json_t *object);

/** output_energy() - {"array", "dac", ..., "total"} in picojoules */
json_t *output_energy(const struct lf_counters *counters);

/** output_counters() - what work cost */
json_t *output_counters(const struct lf_counters *counters);

/** output_effects() - names of the errors its cells have; null where the device does not tell */
json_t *output_effects(const struct lf_device_info *info);

/** output_device() - what the device is */
json_t *output_device(const struct lf_device_info *info);

/** counters_subtract() - later - earlier, field by field */
void counters_subtract(struct lf_counters *later, const struct lf_counters *earlier);

#endif
