/* SPDX-License-Identifier: MIT */
/*
 * Presets: the parameters of a device, by name or from a file; and fitting them to measured cells. The file is described in
 * Documentation/adding-a-preset.md, the measurements in Documentation/device-data.md.
 */
#ifndef LF_PRESET_H
#define LF_PRESET_H

#include <stddef.h>
#include <stdint.h>

#include <lf/error.h>

#define LF_PRESET_VALUE_BYTES 256

/** struct lf_preset - opaque: parameters of a device */
struct lf_preset;

/** lf_preset_builtin() - name of preset @index that is built in, NULL behind the last */
const char *lf_preset_builtin(uint32_t index);

/**
 * lf_preset_open() - parameters by name or from a file
 * @preset: receives them; free with lf_preset_close()
 * @specification: a name, or "file=PATH", as behind "inproc:"
 * @error: names the line and the field of a file that is refused
 *
 * Whether they are possible together, lf_preset_check() says.
 *
 * Return: 0, -EINVAL (no such name, or a file that is refused), -ENOMEM, or what opening the file gave.
 */
int lf_preset_open(struct lf_preset **preset, const char *specification, struct lf_error *error);

/** lf_preset_close() - free parameters, NULL is ignored */
void lf_preset_close(struct lf_preset *preset);

/** lf_preset_name() - what a device with them calls itself */
const char *lf_preset_name(const struct lf_preset *preset);

/**
 * lf_preset_key() - walk over the parameters
 * @index: 0, 1, ...
 * @key: receives the name
 * @unit: receives the unit, "" for a plain number
 * @help: receives one sentence
 *
 * Return: 0, -ENOENT behind the last.
 */
int lf_preset_key(uint32_t index, const char **key, const char **unit, const char **help);

/** lf_preset_get() - the value of a parameter as lf_preset_set() takes it; 0 or -ENOENT */
int lf_preset_get(const struct lf_preset *preset, const char *key,
		  char value[LF_PRESET_VALUE_BYTES]);

/** lf_preset_set() - change a parameter; 0, -ENOENT (no such key), -EINVAL, -ERANGE */
int lf_preset_set(struct lf_preset *preset, const char *key, const char *value,
		  struct lf_error *error);

/** lf_preset_check() - whether the parameters are possible together; 0, or -EINVAL and the parameter that is not */
int lf_preset_check(const struct lf_preset *preset, struct lf_error *error);

/**
 * struct lf_measurement - one reading of a cell
 * @cell: number of the cell
 * @read: number of the reading among those of the same moment
 * @target_us: conductance it was told to have, microsiemens
 * @measured_us: that it had
 * @pulses: of the write that it is about
 * @seconds: since that write; 0 is the reading that ended it
 * @cycles: writes and erasures of the cell so far; 0 where it is not known
 */
struct lf_measurement {
	uint32_t cell;
	uint32_t read;
	double target_us;
	double measured_us;
	uint32_t pulses;
	double seconds;
	double cycles;
};

/** struct lf_measurements - readings, in the order of the file */
struct lf_measurements {
	size_t count;
	struct lf_measurement *rows;
};

#define LF_MEASUREMENTS_MAX 20000000

/**
 * lf_measurements_read() - read a CSV file of measured conductances
 * @measurements: receives them; free with lf_measurements_free()
 * @path: the file, see Documentation/device-data.md
 * @error: names the line and the field that is wrong
 *
 * Return: 0, -EINVAL, -EFBIG, -ENOMEM, or what opening the file gave.
 */
int lf_measurements_read(struct lf_measurements *measurements, const char *path,
			 struct lf_error *error);

/** lf_measurements_free() - free what was read */
void lf_measurements_free(struct lf_measurements *measurements);

/**
 * struct lf_fit_value - one parameter that was fitted
 * @key: of the parameter
 * @value: what the preset has, in the parameter's own unit
 * @standard_error: of @value, in the same unit; 0 where the estimator has none
 * @residual: how far the data are from the fit, see @residual_of
 * @residual_of: what @residual is, in words; "" where there is none
 * @count: observations that it rests on
 */
struct lf_fit_value {
	const char *key;
	double value;
	double standard_error;
	double residual;
	const char *residual_of;
	size_t count;
};

#define LF_FIT_VALUES  16
#define LF_FIT_REMARKS 8

/**
 * struct lf_fit - what was fitted, and what was not
 * @value_count: entries of @values
 * @values: the parameters that were set
 * @remark_count: entries of @remarks
 * @remarks: what the data do not tell, and which columns would; one sentence each
 * @cells: cells in the data
 * @stuck_cells: of them, those that were found stuck and left out
 */
struct lf_fit {
	uint32_t value_count;
	struct lf_fit_value values[LF_FIT_VALUES];
	uint32_t remark_count;
	const char *remarks[LF_FIT_REMARKS];
	size_t cells;
	size_t stuck_cells;
};

/**
 * struct lf_fit_range - the ends of the conductances that levels use
 * @g_max_us: largest; 0 for the largest target of the data
 * @g_min_us: smallest; 0 for the smallest target
 */
struct lf_fit_range {
	double g_max_us;
	double g_min_us;
};

/**
 * lf_preset_fit() - set the parameters that measured cells tell of
 * @preset: changed; parameters that the data do not tell stay as they are
 * @measurements: the data
 * @range: see above
 * @fit: receives what was fitted
 * @error: what is missing on failure, and @preset is unchanged
 *
 * Return: 0, -ENODATA (too few data), -EINVAL (a reading given twice), -ERANGE (a fitted value that no device can have), -ENOMEM.
 */
int lf_preset_fit(struct lf_preset *preset, const struct lf_measurements *measurements,
		  const struct lf_fit_range *range, struct lf_fit *fit, struct lf_error *error);

#endif
