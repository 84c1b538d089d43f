// SPDX-License-Identifier: MIT
/*
 * The estimators. Those with a likelihood are maximised, and their standard errors are those of the curvature at the maximum;
 * relaxation is a regression whose standard errors are a jackknife over cells, because
 * the readings of a cell go together.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/maths.h"
#include "runtime/device/preset_fit.h"

#define WRITES_LEAST	30
#define CELLS_LEAST	10

/* Targets and ages that are told apart. */
#define TARGET_BINS	256
#define AGE_BINS	256
#define AGE_BINS_A_FOLD 4

#define JACKKNIFE	20

#define MINUS_INFINITY	(-1e300)

static double square(double x)
{
	return x * x;
}

/**
 * struct targets - writes gathered by their targets
 * @tolerance: of verifying, 0 without
 * @flat: the spread is the same for all
 * @bins: by target, equally wide
 */
struct targets {
	double tolerance;
	bool flat;
	struct {
		double target; /* sum, then mean */
		double retries;
		double squares;
		double accepted_squares;
		size_t accepted;
		size_t count;
	} bins[TARGET_BINS];
};

/*
 * A pulse errs by N(0, sigma) and is accepted within the tolerance: a write of k pulses of which the last erred by d, accepted or the
 * last that was allowed, has the likelihood (1 - p)^(k - 1) phi(d / sigma) / sigma, with p the share that is accepted.
 */
static double programming_likelihood(const void *context, const double parameters[2])
{
	const struct targets *targets = context;
	double sum = 0;

	for (size_t i = 0; i < TARGET_BINS; i++) {
		double sigma = parameters[0] +
			       (targets->flat ? 0 : parameters[1] * targets->bins[i].target);

		if (!targets->bins[i].count)
			continue;
		if (sigma <= 1e-9)
			return MINUS_INFINITY;
		sum -= targets->bins[i].count * xbar_log(sigma) +
		       targets->bins[i].squares / (2 * square(sigma));
		if (targets->tolerance > 0)
			sum += targets->bins[i].retries *
			       xbar_log(2 * fit_normal_tail(targets->tolerance / sigma));
	}
	/* A slope that nothing depends on stays where it is. */
	return targets->flat ? sum - square(parameters[1]) : sum;
}

/* Good writes one after the other; false behind the last. */
static bool next_good(const struct fit_data *data, size_t *cell, uint32_t *at,
		      const struct fit_write **write)
{
	while (*cell < data->cell_count) {
		const struct fit_cell *this = &data->cells[*cell];

		if (*at < this->good) {
			*write = &data->writes[this->first + (*at)++];
			return true;
		}
		(*cell)++;
		*at = 0;
	}
	return false;
}

static double noise_of(const struct fit_data *data, const struct fit_write *write,
		       double read_noise)
{
	return square(read_noise) / data->moments[write->first].reads;
}

/* Variance of N(0, sigma) within +-@bound sigma, over sigma squared. */
static double truncated_variance(double bound)
{
	/* The difference would cancel; the uniform distribution's next term is below its rounding. */
	if (bound < 1e-3)
		return square(bound) / 3;
	return 1 - 2 * bound * fit_normal_density(bound) / (1 - 2 * fit_normal_tail(bound));
}

/**
 * struct accepted - writes that ended before the last pulse they might have had, so within the tolerance
 * @variance: of their errors, without that of reading
 * @error: standard error of @variance
 */
struct accepted {
	double variance;
	double error;
	size_t count;
};

/* Most pulses of a write, and what those that ended earlier erred by. */
static void find_accepted(const struct fit_data *data, double read_noise,
			  struct fit_programming *fit, struct accepted *accepted)
{
	const struct fit_write *write;
	double sum = 0, squares = 0;
	size_t cell = 0;
	uint32_t at = 0;

	*accepted = (struct accepted){ 0 };
	while (next_good(data, &cell, &at, &write))
		if (write->verified && write->pulses > fit->most_pulses)
			fit->most_pulses = write->pulses;
	cell = at = 0;
	while (next_good(data, &cell, &at, &write))
		if (write->verified && write->pulses < fit->most_pulses) {
			double value = square(write->error) - noise_of(data, write, read_noise);

			accepted->count++;
			sum += value;
			squares += square(value);
		}
	if (accepted->count < WRITES_LEAST || sum <= 0)
		return;
	accepted->variance = sum / accepted->count;
	accepted->error = xbar_sqrt((squares / accepted->count - square(accepted->variance)) /
				    accepted->count);
}

/* The window that leaves of N(0, sigma) this variance; beyond 20 sigma there is none. */
static double tolerance_of(double variance, double sigma)
{
	double low = 0, high = 20;

	for (int i = 0; i < 60; i++) {
		double middle = (low + high) / 2;

		if (square(sigma) * truncated_variance(middle) < variance)
			low = middle;
		else
			high = middle;
	}
	return low * sigma;
}

static void gather(const struct fit_data *data, double read_noise, struct targets *targets,
		   struct fit_programming *fit)
{
	const struct fit_write *write;
	size_t cell = 0;
	uint32_t at = 0;

	while (next_good(data, &cell, &at, &write)) {
		double share = (write->target - data->smallest) / (1 - data->smallest);
		size_t bin = (size_t)(share * (TARGET_BINS - 1) + 0.5);
		double error = square(write->error) - noise_of(data, write, read_noise);

		if (!write->verified)
			continue;
		fit->count++;
		targets->bins[bin].count++;
		targets->bins[bin].target += write->target;
		targets->bins[bin].retries += write->pulses - 1;
		targets->bins[bin].squares += error;
		if (fit->most_pulses > 1 && write->pulses == fit->most_pulses)
			continue;
		targets->bins[bin].accepted++;
		targets->bins[bin].accepted_squares += error;
	}
	for (size_t i = 0; i < TARGET_BINS; i++)
		if (targets->bins[i].count) {
			targets->bins[i].target /= targets->bins[i].count;
			fit->targets++;
		}
}

/* How far the spreads of accepted errors are from what the fit says of a distribution that is cut off at the tolerance. */
static double misfit_of(const struct targets *targets, const double at[2])
{
	double squares = 0;
	size_t count = 0;

	for (size_t i = 0; i < TARGET_BINS; i++) {
		double sigma = at[0] + (targets->flat ? 0 : at[1] * targets->bins[i].target);
		double expected = square(sigma), seen = targets->bins[i].accepted_squares;

		if (targets->bins[i].accepted < CELLS_LEAST)
			continue;
		if (targets->tolerance > 0)
			expected *= truncated_variance(targets->tolerance / sigma);
		seen /= targets->bins[i].accepted;
		squares += square(xbar_sqrt(seen > 0 ? seen / expected : 0) - 1);
		count++;
	}
	return count ? xbar_sqrt(squares / count) : -1;
}

/* Writes that took the last pulse and erred by more than the tolerance. */
static size_t count_failed(const struct fit_data *data, const struct fit_programming *fit)
{
	const struct fit_write *write;
	size_t cell = 0, failed = 0;
	uint32_t at = 0;

	while (next_good(data, &cell, &at, &write))
		failed += fit->most_pulses > 1 && write->verified &&
			  write->pulses == fit->most_pulses &&
			  square(write->error) > square(fit->tolerance.value);
	return failed;
}

/* The spread depends on the tolerance, and what is accepted on both: in turns, until they agree. */
static void fit_spread(struct targets *targets, const struct accepted *accepted,
		       struct fit_programming *fit)
{
	const struct fit_likelihood likelihood = { programming_likelihood, targets };
	double at[2] = { 0 }, size[2], errors[2], squares = 0;

	for (size_t i = 0; i < TARGET_BINS; i++)
		squares += targets->bins[i].squares;
	if (squares <= 0)
		return;
	targets->tolerance = xbar_sqrt(3 * accepted->variance);
	for (int turn = 0; turn < 8; turn++) {
		at[0] = xbar_sqrt(squares / fit->count);
		at[1] = 0;
		size[0] = size[1] = at[0] / 4;
		fit_maximise(&likelihood, at, size);
		if (targets->tolerance > 0)
			targets->tolerance = tolerance_of(accepted->variance,
							  at[0] + (targets->flat ? 0 : at[1] / 2));
	}
	size[0] = size[1] = xbar_sqrt(square(at[0]) + square(at[1])) * 1e-2;
	fit_errors_at(&likelihood, at, size, errors);
	fit->sigma = (struct fit_number){ at[0], errors[0] };
	if (!targets->flat)
		fit->slope = (struct fit_number){ at[1], errors[1] };
	fit->tolerance.value = targets->tolerance;
	if (accepted->variance > 0)
		fit->tolerance.error =
			targets->tolerance * accepted->error / (2 * accepted->variance);
	fit->misfit = misfit_of(targets, at);
}

int fit_programming(const struct fit_data *data, double read_noise, struct fit_programming *fit,
		    struct lf_error *error)
{
	struct targets *targets = calloc(1, sizeof(*targets));
	struct accepted accepted;
	int ret = 0;

	*fit = (struct fit_programming){ 0 };
	if (!targets)
		return lf_error_set(error, -ENOMEM, "out of memory");
	find_accepted(data, read_noise, fit, &accepted);
	gather(data, read_noise, targets, fit);
	targets->flat = fit->targets < 3;
	if (fit->count < WRITES_LEAST) {
		ret = lf_error_set(error, -ENODATA,
				   "programming: %zu writes of cells that follow have a reading at "
				   "seconds 0, and at least %d are needed",
				   fit->count, WRITES_LEAST);
	} else if (fit->most_pulses > 1 && accepted.count < WRITES_LEAST) {
		ret = lf_error_set(
			error, -ENODATA,
			"programming: only %zu writes took fewer than the %u pulses of the "
			"longest one, and at least %d are needed for the tolerance",
			accepted.count, fit->most_pulses, WRITES_LEAST);
	} else {
		fit_spread(targets, &accepted, fit);
		fit->failed = count_failed(data, fit);
	}
	free(targets);
	return ret;
}

void fit_reading(const struct fit_data *data, struct fit_reading *fit)
{
	double squares = 0;

	*fit = (struct fit_reading){ 0 };
	for (size_t i = 0; i < data->cell_count; i++) {
		const struct fit_cell *cell = &data->cells[i];
		const struct fit_write *last = &data->writes[cell->first + cell->writes - 1];
		size_t end = last->first + last->moments;

		/* Of broken cells too: they are read like the others. */
		for (size_t m = data->writes[cell->first].first; m < end; m++) {
			squares += data->moments[m].squares;
			fit->count += data->moments[m].reads - 1;
		}
	}
	if (!fit->count)
		return;
	fit->noise.value = xbar_sqrt(squares / fit->count);
	fit->noise.error = fit->noise.value / xbar_sqrt(2.0 * fit->count);
}

/* Movements of a group of cells at about one age. */
struct age {
	double count;
	double folds;
	double folds_squared;
	double moved;
	double moved_squared;
	double moved_folds;
	double noise; /* variance of the readings, summed */
};

typedef struct age ages[AGE_BINS];

static void add_age(struct age *sum, const struct age *age)
{
	sum->count += age->count;
	sum->folds += age->folds;
	sum->folds_squared += age->folds_squared;
	sum->moved += age->moved;
	sum->moved_squared += age->moved_squared;
	sum->moved_folds += age->moved_folds;
	sum->noise += age->noise;
}

/* Earliest age that was read, 0 if none. */
static double find_start(const struct fit_data *data)
{
	double start = 0;

	for (size_t i = 0; i < data->moment_count; i++)
		if (data->moments[i].seconds > 0 &&
		    (start == 0 || data->moments[i].seconds < start))
			start = data->moments[i].seconds;
	return start;
}

/* Puts the movements of good cells into the group of their cell, by age; how many cells there are. */
static size_t gather_ages(const struct fit_data *data, double start, double read_noise,
			  ages groups[JACKKNIFE])
{
	size_t cells = 0;

	for (size_t i = 0; i < data->cell_count; i++) {
		const struct fit_cell *cell = &data->cells[i];
		bool followed = false;

		for (uint32_t w = 0; w < cell->good; w++) {
			const struct fit_write *write = &data->writes[cell->first + w];
			const struct fit_moment *first = &data->moments[write->first];

			for (uint32_t m = 1; write->verified && m < write->moments; m++) {
				double folds = xbar_log(first[m].seconds / start);
				double moved = first[m].mean - first->mean;
				size_t bin = (size_t)(folds * AGE_BINS_A_FOLD + 0.5);
				const struct age age = {
					1,
					folds,
					square(folds),
					moved,
					square(moved),
					moved * folds,
					square(read_noise) *
						(1.0 / first[m].reads + 1.0 / first->reads),
				};

				followed = true;
				add_age(&groups[cells % JACKKNIFE]
					       [bin < AGE_BINS ? bin : AGE_BINS - 1],
					&age);
			}
		}
		cells += followed;
	}
	return cells;
}

/* Mean, sigma and slope of the spread, from all groups but one. */
static void regress(ages groups[JACKKNIFE], int left_out, double results[3],
		    struct fit_relaxation *fit)
{
	double moved_folds = 0, folds_squared = 0, n = 0, x = 0, y = 0, xx = 0, xy = 0;
	double mean_misfit = 0, sigma_misfit = 0, determinant;
	struct {
		double folds, sigma, count, mean;
	} points[AGE_BINS];
	size_t count = 0;

	for (size_t bin = 0; bin < AGE_BINS; bin++) {
		struct age sum = { 0 };
		double variance;

		for (int group = 0; group < JACKKNIFE; group++)
			if (group != left_out)
				add_age(&sum, &groups[group][bin]);
		moved_folds += sum.moved_folds;
		folds_squared += sum.folds_squared;
		if (sum.count < CELLS_LEAST)
			continue;
		variance = (sum.moved_squared - square(sum.moved) / sum.count) / (sum.count - 1) -
			   sum.noise / sum.count;
		points[count].folds = sum.folds / sum.count;
		points[count].mean = sum.moved / sum.count;
		points[count].sigma = variance > 0 ? xbar_sqrt(variance) : 0;
		points[count++].count = sum.count;
	}
	results[0] = folds_squared > 0 ? moved_folds / folds_squared : 0;
	for (size_t i = 0; i < count; i++) {
		n += points[i].count;
		x += points[i].count * points[i].folds;
		y += points[i].count * points[i].sigma;
		xx += points[i].count * square(points[i].folds);
		xy += points[i].count * points[i].folds * points[i].sigma;
	}
	determinant = n * xx - square(x);
	results[2] = determinant > 1e-9 * square(n) ? (n * xy - x * y) / determinant : 0;
	results[1] = n > 0 ? (y - results[2] * x) / n : 0;
	for (size_t i = 0; i < count; i++) {
		mean_misfit += square(points[i].mean - results[0] * points[i].folds);
		sigma_misfit += square(points[i].sigma - results[1] - results[2] * points[i].folds);
	}
	if (fit && count) {
		fit->times = count;
		fit->mean_misfit = xbar_sqrt(mean_misfit / count);
		fit->sigma_misfit = xbar_sqrt(sigma_misfit / count);
	}
}

int fit_relaxation(const struct fit_data *data, double read_noise, struct fit_relaxation *fit)
{
	struct fit_number *const numbers[3] = { &fit->mean, &fit->sigma, &fit->slope };
	double all[3], without[JACKKNIFE][3];
	ages *groups;

	*fit = (struct fit_relaxation){ .start_seconds = find_start(data) };
	if (fit->start_seconds == 0)
		return 0;
	groups = calloc(JACKKNIFE, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	fit->count = gather_ages(data, fit->start_seconds, read_noise, groups);
	regress(groups, -1, all, fit);
	for (int group = 0; group < JACKKNIFE; group++)
		regress(groups, group, without[group], NULL);
	for (int i = 0; i < 3; i++) {
		double mean = 0, squares = 0;

		for (int group = 0; group < JACKKNIFE; group++)
			mean += without[group][i] / JACKKNIFE;
		for (int group = 0; group < JACKKNIFE; group++)
			squares += square(without[group][i] - mean);
		numbers[i]->value = all[i];
		numbers[i]->error = xbar_sqrt(squares * (JACKKNIFE - 1) / JACKKNIFE);
	}
	free(groups);
	return 0;
}

/*
 * Lognormal endurance, of which is known that it lies between two counts of cycles, or beyond the last one; the parameters are
 * ln(median) and the spread.
 */
static double endurance_likelihood(const void *context, const double parameters[2])
{
	const struct fit_data *data = context;
	double sum = 0;

	if (parameters[1] <= 1e-3)
		return MINUS_INFINITY;
	for (size_t i = 0; i < data->cell_count; i++) {
		const struct fit_cell *cell = &data->cells[i];
		double last = data->writes[cell->first + cell->writes - 1].cycles, share;

		if (cell->stuck)
			continue;
		if (cell->worn_before > 0) {
			share = fit_normal_below((xbar_log(cell->worn_before) - parameters[0]) /
						 parameters[1]);
			if (cell->worn_after > 0)
				share -= fit_normal_below(
					(xbar_log(cell->worn_after) - parameters[0]) /
					parameters[1]);
		} else {
			share = last > 0 ? fit_normal_below((parameters[0] - xbar_log(last)) /
							    parameters[1])
					 : 1;
		}
		sum += xbar_log(share > 1e-300 ? share : 1e-300);
	}
	return sum;
}

void fit_endurance(const struct fit_data *data, struct fit_endurance *fit)
{
	const struct fit_likelihood likelihood = { endurance_likelihood, data };
	double at[2] = { 0, 0.5 }, size[2] = { 0.5, 0.2 }, errors[2], on = 0;

	*fit = (struct fit_endurance){ 0 };
	for (size_t i = 0; i < data->cell_count; i++) {
		const struct fit_cell *cell = &data->cells[i];

		fit->count += !cell->stuck;
		if (cell->worn_before == 0)
			continue;
		fit->worn++;
		at[0] += xbar_log(cell->worn_before);
		on += cell->on;
	}
	if (fit->worn < CELLS_LEAST)
		return;
	at[0] /= fit->worn;
	fit_maximise(&likelihood, at, size);
	size[0] = size[1] = at[1] * 1e-2;
	fit_errors_at(&likelihood, at, size, errors);
	fit->median.value = xbar_exp(at[0]);
	fit->median.error = fit->median.value * errors[0];
	fit->spread = (struct fit_number){ at[1], errors[1] };
	on /= fit->worn;
	fit->on = (struct fit_number){ on, xbar_sqrt(on * (1 - on) / fit->worn) };
}

void fit_stuck(const struct fit_data *data, struct fit_stuck *fit)
{
	*fit = (struct fit_stuck){ 0 };
	for (size_t i = 0; i < data->cell_count; i++) {
		const struct fit_cell *cell = &data->cells[i];

		fit->stuck += cell->stuck;
		fit->count += cell->tested;
		if (cell->tested && cell->stuck)
			(cell->on ? &fit->on : &fit->off)->value++;
	}
	if (!fit->count)
		return;
	fit->on.value /= fit->count;
	fit->off.value /= fit->count;
	fit->on.error = xbar_sqrt(fit->on.value * (1 - fit->on.value) / fit->count);
	fit->off.error = xbar_sqrt(fit->off.value * (1 - fit->off.value) / fit->count);
}
