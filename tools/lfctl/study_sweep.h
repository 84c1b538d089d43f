/* SPDX-License-Identifier: MIT */
/* What a study varies: the sweeps, their values as options give them, and the device each value means. */
#ifndef LFCTL_STUDY_SWEEP_H
#define LFCTL_STUDY_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include <lf/error.h>

enum study_sweep_kind {
	STUDY_ADC,
	STUDY_CALIBRATED,
	STUDY_PROGRAMMING,
	STUDY_STUCK,
	STUDY_TIME,
	STUDY_SWEEPS,
};

#define STUDY_VALUES 24

/**
 * struct study_value - a point of an axis
 * @text: as it was given
 * @x: as a number, in the unit of the axis
 */
struct study_value {
	char text[16];
	double x;
};

/**
 * struct study_sweep - a sweep
 * @kind: which
 * @count: number of @values
 * @values: rising
 */
struct study_sweep {
	enum study_sweep_kind kind;
	uint32_t count;
	struct study_value values[STUDY_VALUES];
};

/**
 * struct study_axis - how a sweep is called and drawn
 * @name: in options and results
 * @title: what is varied, for people
 * @unit: of x, "" for a plain number
 * @logarithmic: of the axis
 */
struct study_axis {
	const char *name;
	const char *title;
	const char *unit;
	bool logarithmic;
};

/** study_axis() - of a kind of sweep */
const struct study_axis *study_axis(enum study_sweep_kind kind);

/**
 * study_sweeps_parse() - read the lists of the options
 * @names: sweeps wanted, separated by commas
 * @lists: values of each kind, separated by commas
 * @sweeps: receives them, in the order of their kinds
 * @count: receives how many
 * @error: names the option and the value
 *
 * Return: 0 or -EINVAL.
 */
int study_sweeps_parse(const char *names, const char *const lists[STUDY_SWEEPS],
		       struct study_sweep sweeps[STUDY_SWEEPS], uint32_t *count,
		       struct lf_error *error);

/** STUDY_KEYS_BYTES - room for what study_sweep_keys() writes */
#define STUDY_KEYS_BYTES 64

/** study_sweep_keys() - parameters of the device for a value, each with a comma before it; "" for an age */
void study_sweep_keys(enum study_sweep_kind kind, const struct study_value *value,
		      char keys[STUDY_KEYS_BYTES]);

#endif
