// SPDX-License-Identifier: MIT
/*
 * Measurements put in order: readings of a moment together, moments of a write, writes of a cell; and which cells no longer follow.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/device/preset_fit.h"

/* A normal distribution's standard deviation over its median distance from the mean. */
#define MEDIAN_TO_SIGMA 1.4826

/* Spreads from which on, and share of the range below which never, an error is not noise. */
#define OUTLIER_SIGMAS	6
#define OUTLIER_LEAST	0.05

static int compare_numbers(double a, double b)
{
	return (a > b) - (a < b);
}

/* By cell, write, moment, reading. */
static int compare(const void *left, const void *right)
{
	const struct lf_measurement *a = left, *b = right;
	int order = (a->cell > b->cell) - (a->cell < b->cell);

	order = order ? order : compare_numbers(a->cycles, b->cycles);
	order = order ? order : compare_numbers(a->target_us, b->target_us);
	order = order ? order : compare_numbers(a->seconds, b->seconds);
	return order ? order : (a->read > b->read) - (a->read < b->read);
}

/* Two readings that nothing tells apart are of writes that nothing tells apart. */
static int find_repetition(const struct lf_measurement *rows, size_t count, struct lf_error *error)
{
	for (size_t i = 1; i < count; i++)
		if (!compare(&rows[i - 1], &rows[i]))
			return lf_error_set(
				error, -EINVAL,
				"cell %u, target_us %g, seconds %g: given twice; column read tells "
				"readings apart, column cycles writes",
				rows[i].cell, rows[i].target_us, rows[i].seconds);
	return 0;
}

static bool is_same_write(const struct lf_measurement *a, const struct lf_measurement *b)
{
	return a->cell == b->cell && a->cycles == b->cycles && a->target_us == b->target_us;
}

/* Adds a reading to a moment, keeping mean and squares (Welford 1962). */
static void add_reading(struct fit_moment *moment, double value)
{
	double difference = value - moment->mean;

	moment->reads++;
	moment->mean += difference / moment->reads;
	moment->squares += difference * (value - moment->mean);
}

/* Fills the arrays from rows in order. */
static void arrange(struct fit_data *data, const struct lf_measurement *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool new_write = i == 0 || !is_same_write(&rows[i], &rows[i - 1]);
		struct fit_write *write;

		if (i == 0 || rows[i].cell != rows[i - 1].cell)
			data->cells[data->cell_count++] =
				(struct fit_cell){ .first = data->write_count };
		if (new_write) {
			data->cells[data->cell_count - 1].writes++;
			data->writes[data->write_count++] = (struct fit_write){
				.target = rows[i].target_us / data->largest,
				.cycles = rows[i].cycles,
				.pulses = rows[i].pulses,
				.first = data->moment_count,
			};
		}
		write = &data->writes[data->write_count - 1];
		if (new_write || rows[i].seconds != rows[i - 1].seconds) {
			write->moments++;
			data->moments[data->moment_count++] =
				(struct fit_moment){ .seconds = rows[i].seconds };
		}
		add_reading(&data->moments[data->moment_count - 1],
			    rows[i].measured_us / data->largest);
	}
}

static int compare_doubles(const void *left, const void *right)
{
	return compare_numbers(*(const double *)left, *(const double *)right);
}

/* Errors of the readings that ended writes, and how large they are without those of broken cells. */
static int find_window(struct fit_data *data, struct lf_error *error)
{
	double *sizes = malloc(data->write_count * sizeof(*sizes));
	size_t count = 0;

	if (!sizes)
		return lf_error_set(error, -ENOMEM, "out of memory");
	for (size_t i = 0; i < data->write_count; i++) {
		struct fit_write *write = &data->writes[i];
		const struct fit_moment *moment = &data->moments[write->first];

		write->verified = moment->seconds == 0;
		write->error = moment->mean - write->target;
		if (write->verified)
			sizes[count++] = write->error < 0 ? -write->error : write->error;
	}
	qsort(sizes, count, sizeof(*sizes), compare_doubles);
	data->window = count ? OUTLIER_SIGMAS * MEDIAN_TO_SIGMA * sizes[count / 2] : 0;
	if (data->window < OUTLIER_LEAST)
		data->window = OUTLIER_LEAST;
	free(sizes);
	return 0;
}

static bool is_near(double a, double b, double window)
{
	return a - b <= window && b - a <= window;
}

/* A broken cell lies at an end of the range or beyond; one that merely missed its target lies anywhere. */
static enum fit_state state_of(const struct fit_data *data, const struct fit_write *write)
{
	double measured = write->target + write->error;
	bool at_an_end = measured >= 1 - data->window || measured <= data->smallest + data->window;

	if (!at_an_end)
		return FIT_GOOD;
	return is_near(write->error, 0, data->window) ? FIT_UNSURE : FIT_BAD;
}

/* A cell that follows no longer: all writes behind the last good one were bad, or would look good of a stuck cell. */
static void judge(struct fit_data *data, struct fit_cell *cell)
{
	struct fit_write *writes = &data->writes[cell->first];
	uint32_t followed = 0, bad = cell->writes, far = 0;

	for (uint32_t i = 0; i < cell->writes; i++) {
		writes[i].state = writes[i].verified ? state_of(data, &writes[i]) : FIT_UNSURE;
		far += writes[i].verified && !is_near(writes[i].target, 1, data->window) &&
		       !is_near(writes[i].target, data->smallest, data->window);
		if (writes[i].state == FIT_GOOD)
			followed = i + 1;
	}
	for (uint32_t i = cell->writes; i-- > followed;)
		if (writes[i].state == FIT_BAD)
			bad = i;
	cell->tested = far > 1;
	/* Where it may have stopped following, what cannot be told does not count. */
	cell->good = followed;
	if (bad == cell->writes) {
		if (writes[cell->writes - 1].cycles == writes[0].cycles)
			cell->good = cell->writes;
		return;
	}
	cell->on = writes[bad].error > 0;
	if (followed && writes[bad].cycles > writes[followed - 1].cycles) {
		cell->worn_after = writes[followed - 1].cycles;
		cell->worn_before = writes[bad].cycles;
	} else if (!followed) {
		cell->stuck = true;
		cell->good = 0;
	} else {
		/* Bad once and good before, with no cycles in between: noise of its own kind, which counts. */
		cell->good = cell->writes;
	}
}

static int find_range(struct fit_data *data, const struct lf_measurements *measurements,
		      const struct lf_fit_range *range, struct lf_error *error)
{
	double smallest = measurements->rows[0].target_us, largest = smallest;

	for (size_t i = 1; i < measurements->count; i++) {
		double target = measurements->rows[i].target_us;

		smallest = target < smallest ? target : smallest;
		largest = target > largest ? target : largest;
	}
	if (range->g_max_us > 0 && largest > range->g_max_us)
		return lf_error_set(error, -ERANGE,
				    "column target_us: %g is above the largest conductance, %g",
				    largest, range->g_max_us);
	if (range->g_min_us > 0 && smallest < range->g_min_us)
		return lf_error_set(error, -ERANGE,
				    "column target_us: %g is below the smallest conductance, %g",
				    smallest, range->g_min_us);
	data->largest = range->g_max_us > 0 ? range->g_max_us : largest;
	smallest = range->g_min_us > 0 ? range->g_min_us : smallest;
	if (data->largest <= 0 || smallest >= data->largest / 1.1)
		return lf_error_set(error, -ENODATA,
				    "column target_us: from %g to %g is no range of conductances",
				    smallest, data->largest);
	data->smallest = smallest / data->largest;
	return 0;
}

int fit_data_make(struct fit_data *data, const struct lf_measurements *measurements,
		  const struct lf_fit_range *range, struct lf_error *error)
{
	size_t count = measurements->count;
	struct lf_measurement *rows;
	int ret;

	*data = (struct fit_data){ 0 };
	if (!count)
		return lf_error_set(error, -ENODATA, "no measurements");
	ret = find_range(data, measurements, range, error);
	if (ret)
		return ret;
	rows = malloc(count * sizeof(*rows));
	data->moments = malloc(count * sizeof(*data->moments));
	data->writes = malloc(count * sizeof(*data->writes));
	data->cells = malloc(count * sizeof(*data->cells));
	if (!rows || !data->moments || !data->writes || !data->cells) {
		ret = lf_error_set(error, -ENOMEM, "out of memory");
	} else {
		memcpy(rows, measurements->rows, count * sizeof(*rows));
		qsort(rows, count, sizeof(*rows), compare);
		ret = find_repetition(rows, count, error);
		if (!ret)
			arrange(data, rows, count);
		if (!ret)
			ret = find_window(data, error);
	}
	free(rows);
	for (size_t i = 0; !ret && i < data->cell_count; i++)
		judge(data, &data->cells[i]);
	if (ret)
		fit_data_free(data);
	return ret;
}

void fit_data_free(struct fit_data *data)
{
	free(data->moments);
	free(data->writes);
	free(data->cells);
	*data = (struct fit_data){ 0 };
}
