// SPDX-License-Identifier: MIT
/* What the device interface offers of the physics: time, temperature, events, calibration, single cells. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/device_fixture.h"
#include "tests/unit/suite.h"

#define ROWS 96
#define COLS 20

static struct lf_device *device;

static void setup(void)
{
	device = open_device("inproc:isaac,tiles=48,adc_bits=4");
}

static void teardown(void)
{
	lf_device_close(device);
}

static struct lf_telemetry telemetry(void)
{
	struct lf_telemetry now;

	ck_assert_lf(lf_device_telemetry(device, &now, LF_ERROR));
	return now;
}

START_TEST(test_time_passes)
{
	uint64_t before = telemetry().time_ns;

	ck_assert_lf(lf_device_advance(device, 12345, LF_ERROR));
	ck_assert_uint_eq(telemetry().time_ns, before + 12345);
	ck_assert_lf(lf_device_advance(device, UINT64_MAX, LF_ERROR));
	ck_assert_uint_eq(telemetry().time_ns, INT64_MAX);
	ck_assert_lf(lf_device_advance(device, 1, LF_ERROR));
	ck_assert_uint_eq(telemetry().time_ns, INT64_MAX);
}
END_TEST

START_TEST(test_temperature)
{
	ck_assert_lf(lf_device_set_temperature(device, 61500, LF_ERROR));
	ck_assert_int_eq(telemetry().temperature_mc, 61500);
	ck_assert_lf_fails(lf_device_set_temperature(device, 200001, LF_ERROR), -EINVAL,
			   "temperature: 200001");
	ck_assert_lf_fails(lf_device_set_temperature(device, -55001, LF_ERROR), -EINVAL,
			   "temperature: -55001");
	ck_assert_int_eq(telemetry().temperature_mc, 61500);
}
END_TEST

/* Over the limit there is an event, once; over the critical one nothing is multiplied until it is cooler. */
START_TEST(test_heat)
{
	float samples[ROWS] = { 1.0f };
	struct lf_matrix *matrix;
	uint32_t events;
	void *weights;

	matrix = make_matrix(device, ROWS, COLS, 1, &weights);
	ck_assert_lf(lf_device_events(device, &events, LF_ERROR));
	ck_assert_uint_eq(events, 0);
	ck_assert_lf(lf_device_set_temperature(device, 90000, LF_ERROR));
	ck_assert_lf(lf_device_events(device, &events, LF_ERROR));
	ck_assert_uint_eq(events, LF_EVENT_THERMAL);
	ck_assert_lf(lf_device_events(device, &events, LF_ERROR));
	ck_assert_uint_eq(events, 0);
	ck_assert_lf(lf_device_set_temperature(device, 110000, LF_ERROR));
	ck_assert_lf_fails(lf_matrix_calibrate(matrix, 1, samples, NULL, NULL, LF_ERROR), -EBUSY,
			   "too hot");
	ck_assert_lf(lf_device_set_temperature(device, 25000, LF_ERROR));
	ck_assert_lf(lf_matrix_calibrate(matrix, 1, samples, NULL, NULL, LF_ERROR));
	lf_matrix_close(matrix);
	free(weights);
}
END_TEST

/* Conversions that clip in one product with @matrix. */
static uint64_t clips_of(struct lf_matrix *matrix, const float *samples, uint32_t count)
{
	struct lf_buffer *input = make_buffer(device, count * ROWS * sizeof(float));
	struct lf_buffer *output = make_buffer(device, count * COLS * sizeof(float));
	struct lf_mvm mvm = { .matrix = matrix,
			      .count = count,
			      .input = lf_view_buffer(input, 0, ROWS * sizeof(float)),
			      .output = lf_view_buffer(output, 0, COLS * sizeof(float)) };
	struct lf_job *job;
	uint64_t clips;

	memcpy(lf_buffer_data(input), samples, count * ROWS * sizeof(float));
	ck_assert_lf(lf_job_create(device, &job, LF_ERROR));
	lf_job_begin(job, 1);
	lf_job_mvm(job, &mvm);
	ck_assert_lf(lf_job_submit(job, LF_ERROR));
	ck_assert_lf(lf_job_wait(job, -1, LF_ERROR));
	clips = lf_job_result(job)->counters.clips;
	lf_job_destroy(job);
	lf_buffer_destroy(input);
	lf_buffer_destroy(output);
	return clips;
}

START_TEST(test_calibrate)
{
	enum { COUNT = 40 };
	static float samples[COUNT * ROWS];
	struct lf_counters counters = { 0 };
	struct lf_matrix_info info;
	struct lf_matrix *matrix;
	uint64_t clips;
	uint32_t step;
	void *weights;

	random_fill(samples, COUNT * ROWS, 3);
	matrix = make_matrix(device, ROWS, COLS, 2, &weights);
	clips = clips_of(matrix, samples, COUNT);
	ck_assert_uint_gt(clips, 0);
	ck_assert_lf(lf_matrix_calibrate(matrix, COUNT, samples, &step, &counters, LF_ERROR));
	ck_assert_uint_gt(step, 1);
	ck_assert_uint_eq(step & (step - 1), 0);
	ck_assert_uint_eq(counters.jobs, 1);
	ck_assert_uint_lt(clips_of(matrix, samples, COUNT), clips);
	ck_assert_lf(lf_matrix_info(matrix, &info, LF_ERROR));
	ck_assert_uint_eq(info.adc_step, step);
	lf_matrix_close(matrix);
	free(weights);
}
END_TEST

START_TEST(test_calibrate_refused)
{
	uint32_t limit = lf_device_info(device)->batch;
	float samples[ROWS] = { 1.0f, 0.0f / 0.0f };
	struct lf_matrix *matrix, *torn;
	struct lf_matrix_info info;
	void *weights;

	matrix = make_matrix(device, ROWS, COLS, 2, &weights);
	ck_assert_lf_fails(lf_matrix_calibrate(matrix, 0, samples, NULL, NULL, LF_ERROR), -EINVAL,
			   "0 samples");
	ck_assert_lf_fails(lf_matrix_calibrate(matrix, limit + 1, samples, NULL, NULL, LF_ERROR),
			   -EINVAL, "samples");
	ck_assert_lf_fails(lf_matrix_calibrate(matrix, 1, samples, NULL, NULL, LF_ERROR), -EDOM,
			   "NaN");
	ck_assert_lf(lf_matrix_info(matrix, &info, LF_ERROR));
	ck_assert_uint_eq(info.adc_step, 1);
	ck_assert_lf(lf_matrix_create(device, ROWS, COLS, LF_FORMAT_INT8, &torn, LF_ERROR));
	ck_assert_lf_fails(lf_matrix_calibrate(torn, 1, samples, NULL, NULL, LF_ERROR), -EINVAL,
			   "not committed");
	lf_matrix_close(torn);
	lf_matrix_close(matrix);
	free(weights);
}
END_TEST

/* Relative error of products with a matrix of @weights, in root mean square. */
static double error_of(struct lf_device *of, struct lf_matrix *matrix, const int8_t *weights)
{
	enum { COUNT = 32 };
	static float samples[COUNT * ROWS];
	struct lf_buffer *input = make_buffer(of, sizeof(samples));
	struct lf_buffer *output = make_buffer(of, COUNT * COLS * sizeof(float));
	struct lf_mvm mvm = { .matrix = matrix,
			      .count = COUNT,
			      .input = lf_view_buffer(input, 0, ROWS * sizeof(float)),
			      .output = lf_view_buffer(output, 0, COLS * sizeof(float)) };
	const float *y = lf_buffer_data(output);
	double noise = 0.0, signal = 0.0;
	struct lf_job *job;

	random_fill(samples, COUNT * ROWS, 5);
	memcpy(lf_buffer_data(input), samples, sizeof(samples));
	ck_assert_lf(lf_job_create(of, &job, LF_ERROR));
	lf_job_begin(job, 1);
	lf_job_mvm(job, &mvm);
	ck_assert_lf(lf_job_submit(job, LF_ERROR));
	ck_assert_lf(lf_job_wait(job, -1, LF_ERROR));
	for (uint32_t at = 0; at < COUNT; at++)
		for (uint32_t c = 0; c < COLS; c++) {
			double right = 0.0;

			for (uint32_t r = 0; r < ROWS; r++)
				right += (double)samples[at * ROWS + r] * weights[r * COLS + c];
			noise += (y[at * COLS + c] - right) * (y[at * COLS + c] - right);
			signal += right * right;
		}
	lf_job_destroy(job);
	lf_buffer_destroy(input);
	lf_buffer_destroy(output);
	return sqrt(noise / signal);
}

/* Ten years blur a matrix; a refresh makes it as it was, and young. */
START_TEST(test_refresh)
{
	struct lf_device *drifting = open_device(
		"inproc:isaac,tiles=48,relax_sigma=0.001,relax_sigma_slope=0.0025,refresh_s=1000");
	double fresh, aged, refreshed;
	struct lf_telemetry totals;
	struct lf_matrix_info info;
	struct lf_matrix *matrix;
	uint64_t cells;
	void *weights;

	matrix = make_matrix(drifting, ROWS, COLS, 4, &weights);
	ck_assert_lf(lf_matrix_publish(matrix, "drifting", 0444, LF_ERROR));
	fresh = error_of(drifting, matrix, weights);
	ck_assert_lf(lf_device_advance(drifting, UINT64_C(315576000) * 1000000000, LF_ERROR));
	aged = error_of(drifting, matrix, weights);
	ck_assert_double_gt(aged, 5 * fresh);
	ck_assert_lf(lf_device_telemetry(drifting, &totals, LF_ERROR));
	ck_assert_uint_eq(totals.refresh_due, 1);
	ck_assert_lf(lf_matrix_info(matrix, &info, LF_ERROR));
	ck_assert_uint_le(info.due_ns, totals.time_ns);
	ck_assert_lf(lf_matrix_refresh(matrix, &cells, LF_ERROR));
	ck_assert_uint_eq(cells, info.cells);
	refreshed = error_of(drifting, matrix, weights);
	ck_assert_double_lt(refreshed, aged / 3);
	ck_assert_lf(lf_matrix_info(matrix, &info, LF_ERROR));
	ck_assert_uint_eq(info.refreshes, 1);
	ck_assert_uint_ge(info.programmed_ns, totals.time_ns);
	ck_assert_lf(lf_device_telemetry(drifting, &totals, LF_ERROR));
	ck_assert_uint_eq(totals.refresh_due, 0);
	lf_matrix_close(matrix);
	free(weights);
	lf_device_close(drifting);
}
END_TEST

START_TEST(test_refresh_refused)
{
	const uint64_t none = 0;
	struct lf_matrix *matrix, *torn;
	struct lf_account quota;
	uint64_t cells = 1;
	void *weights;

	ck_assert_lf(lf_matrix_create(device, ROWS, COLS, LF_FORMAT_INT8, &torn, LF_ERROR));
	ck_assert_lf_fails(lf_matrix_refresh(torn, &cells, LF_ERROR), -EINVAL, "not committed");
	ck_assert_uint_eq(cells, 1);
	lf_matrix_close(torn);
	matrix = make_matrix(device, ROWS, COLS, 4, &weights);
	ck_assert_lf(lf_device_quota(device, geteuid(), &none, &quota, LF_ERROR));
	ck_assert_lf_fails(lf_matrix_refresh(matrix, &cells, LF_ERROR), -EDQUOT, "write budget");
	ck_assert_uint_eq(cells, 0);
	lf_matrix_close(matrix);
	free(weights);
}
END_TEST

/* The slices of a magnitude on the side of its sign, two bits each, and nothing on the other side. */
START_TEST(test_cells)
{
	struct lf_matrix *matrix;
	struct lf_cell *cells;
	uint32_t each;
	int8_t *weights;
	void *made;

	matrix = make_matrix(device, ROWS, COLS, 6, &made);
	weights = made;
	each = lf_matrix_weight_cells(matrix);
	ck_assert_uint_eq(each, 8);
	cells = calloc((size_t)ROWS * COLS * each, sizeof(*cells));
	ck_assert_lf(lf_matrix_cells(matrix, 0, ROWS, cells, LF_ERROR));
	for (uint32_t at = 0; at < ROWS * COLS * each; at++) {
		int weight = weights[at / each], magnitude = weight < 0 ? -weight : weight;
		uint32_t slice = at % each % 4, level = (uint32_t)magnitude >> 2 * slice & 3;
		bool lies = (at % each < 4) == (weight >= 0);
		float conductance;

		memcpy(&conductance, &cells[at].conductance, sizeof(conductance));
		ck_assert_float_eq_tol(conductance, lies ? (float)level / 3 : 0.0f, 1e-6f);
		ck_assert_uint_eq(cells[at].wear, 1);
		ck_assert_uint_eq(cells[at].endurance, UINT32_MAX);
		ck_assert_uint_eq(cells[at].flags, 0);
	}
	ck_assert_lf_fails(lf_matrix_cells(matrix, 0, 0, cells, LF_ERROR), -EINVAL, "0 rows");
	ck_assert_lf_fails(lf_matrix_cells(matrix, ROWS, 1, cells, LF_ERROR), -EINVAL,
			   "the matrix has 96");
	ck_assert_lf_fails(lf_matrix_cells(matrix, 1, ROWS, cells, LF_ERROR), -EINVAL,
			   "the matrix has 96");
	free(cells);
	free(made);
	lf_matrix_close(matrix);
}
END_TEST

START_TEST(test_effects)
{
	struct lf_device *noisy =
		open_device("inproc:isaac,tiles=48,read_noise=0.01,stuck_off=0.1");

	ck_assert(lf_device_info(device)->effects_known);
	ck_assert_uint_eq(lf_device_info(device)->effects, 0);
	ck_assert_uint_eq(lf_device_info(noisy)->effects,
			  1u << LF_EFFECT_READ_NOISE | 1u << LF_EFFECT_STUCK);
	ck_assert_str_eq(lf_effect_name(LF_EFFECT_STUCK), "stuck cells");
	ck_assert_ptr_null(lf_effect_name(LF_EFFECTS));
	lf_device_close(noisy);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device_physics");
	TCase *tests = tcase_create("physics");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, test_time_passes);
	tcase_add_test(tests, test_temperature);
	tcase_add_test(tests, test_heat);
	tcase_add_test(tests, test_calibrate);
	tcase_add_test(tests, test_calibrate_refused);
	tcase_add_test(tests, test_refresh);
	tcase_add_test(tests, test_refresh_refused);
	tcase_add_test(tests, test_cells);
	tcase_add_test(tests, test_effects);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
