/* SPDX-License-Identifier: MIT */
/*
 * The parts of fitting a preset: measurements in the order of cells, their writes and moments, and the estimators. Conductances
 * are fractions of the largest one here.
 */
#ifndef LF_DEVICE_PRESET_FIT_H
#define LF_DEVICE_PRESET_FIT_H

#include <stdbool.h>

#include <lf/preset.h>

/**
 * struct fit_moment - the readings of a cell at one time after a write
 * @seconds: since the write
 * @mean: of the readings
 * @squares: sum of their squared differences from it
 * @reads: number of them
 */
struct fit_moment {
	double seconds;
	double mean;
	double squares;
	uint32_t reads;
};

enum fit_state {
	FIT_GOOD,
	FIT_UNSURE, /* where it was told to be, but a stuck cell would be there too */
	FIT_BAD,
};

/**
 * struct fit_write - one write of a cell
 * @target: what it was told
 * @cycles: of the cell by then
 * @pulses: it took
 * @first: its first moment
 * @moments: number of them
 * @verified: its first moment is the reading that ended it
 * @error: of that reading, measured less target
 * @state: what that reading says of the cell
 */
struct fit_write {
	double target;
	double cycles;
	uint32_t pulses;
	size_t first;
	uint32_t moments;
	bool verified;
	double error;
	enum fit_state state;
};

/**
 * struct fit_cell - one cell
 * @first: its first write
 * @writes: number of them
 * @good: of them, how many of the first the cell followed for certain
 * @stuck: it followed none, and at least one it should have
 * @on: where it is stuck, or ended when worn: nearer to the largest conductance
 * @tested: it was told to be where no stuck cell is, more than once
 * @worn_after: cycles that it bore, then came a write that it did not follow; 0 where it is not worn
 * @worn_before: cycles of that write
 */
struct fit_cell {
	size_t first;
	uint32_t writes;
	uint32_t good;
	bool stuck;
	bool on;
	bool tested;
	double worn_after;
	double worn_before;
};

/**
 * struct fit_data - everything, in order
 * @largest: conductance that fractions are of, microsiemens
 * @smallest: fraction
 * @window: errors beyond it are not the cell's noise
 */
struct fit_data {
	double largest;
	double smallest;
	double window;
	struct fit_moment *moments;
	struct fit_write *writes;
	struct fit_cell *cells;
	size_t moment_count;
	size_t write_count;
	size_t cell_count;
};

/** fit_data_make() - put measurements in order; 0, -ENODATA, -ERANGE, -ENOMEM. Free with fit_data_free() */
int fit_data_make(struct fit_data *data, const struct lf_measurements *measurements,
		  const struct lf_fit_range *range, struct lf_error *error);

void fit_data_free(struct fit_data *data);

double fit_normal_density(double x);

/* Share of N(0, 1) above @x >= 0, to ten digits. */
double fit_normal_tail(double x);

/* Share of N(0, 1) below @x. */
double fit_normal_below(double x);

/**
 * struct fit_likelihood - of two parameters
 * @log_of: its logarithm
 * @context: what it is of
 */
struct fit_likelihood {
	double (*log_of)(const void *context, const double parameters[2]);
	const void *context;
};

/* Moves @at, which begins at a guess with steps of @size, to the maximum. */
void fit_maximise(const struct fit_likelihood *likelihood, double at[2], const double size[2]);

/* Standard errors from the second differences of the logarithm at its maximum; 0 where it is not curved. */
void fit_errors_at(const struct fit_likelihood *likelihood, const double at[2],
		   const double size[2], double errors[2]);

/* A value with its standard error. */
struct fit_number {
	double value;
	double error;
};

/**
 * struct fit_programming - of the writes of good cells
 * @sigma: spread of a pulse at conductance 0
 * @slope: change of it with the target
 * @tolerance: 0 when nothing was verified
 * @most_pulses: of a write
 * @failed: writes that ended outside of the tolerance
 * @count: writes
 * @targets: different ones
 * @misfit: rms over the targets of observed over expected spread, less one; negative where no target has ten writes
 */
struct fit_programming {
	struct fit_number sigma;
	struct fit_number slope;
	struct fit_number tolerance;
	uint32_t most_pulses;
	size_t failed;
	size_t count;
	size_t targets;
	double misfit;
};

int fit_programming(const struct fit_data *data, double read_noise, struct fit_programming *fit,
		    struct lf_error *error);

/** struct fit_reading - @noise: of one reading; @count: degrees of freedom, 0 when there are none */
struct fit_reading {
	struct fit_number noise;
	size_t count;
};

void fit_reading(const struct fit_data *data, struct fit_reading *fit);

/**
 * struct fit_relaxation - of good cells whose conductance was followed
 * @start_seconds: time from which it is counted: the earliest one
 * @mean: movement for each factor e of age
 * @sigma: spread at the start
 * @slope: growth of the spread for each factor e of age
 * @count: cells, 0 when it cannot be told
 * @times: different ages, a quarter of a factor e apart
 * @mean_misfit: rms over the ages
 * @sigma_misfit: likewise
 */
struct fit_relaxation {
	double start_seconds;
	struct fit_number mean;
	struct fit_number sigma;
	struct fit_number slope;
	size_t count;
	size_t times;
	double mean_misfit;
	double sigma_misfit;
};

int fit_relaxation(const struct fit_data *data, double read_noise, struct fit_relaxation *fit);

/** struct fit_endurance - @median and @spread (of the logarithm) of cycles borne, @on: share of worn cells that end on */
struct fit_endurance {
	struct fit_number median;
	struct fit_number spread;
	struct fit_number on;
	size_t worn;
	size_t count;
};

void fit_endurance(const struct fit_data *data, struct fit_endurance *fit);

/** struct fit_stuck - shares of the tested cells */
struct fit_stuck {
	struct fit_number on;
	struct fit_number off;
	size_t count;
	size_t stuck;
};

void fit_stuck(const struct fit_data *data, struct fit_stuck *fit);

#endif
