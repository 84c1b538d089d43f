// SPDX-License-Identifier: MIT
/*
 * A matrix programmed into crossbars and multiplied with a vector.
 *
 *	cc mvm.c $(pkg-config --cflags --libs liblf) -o mvm && ./mvm [device]
 */
#include <stdio.h>

#include <lf/device.h>
#include <lf/job.h>
#include <lf/matrix.h>

#define ROWS 4
#define COLS 3

static const int8_t weights[ROWS][COLS] = {
	{ 1, 0, 2 },
	{ 0, 1, 2 },
	{ 3, 0, 0 },
	{ 0, 4, 1 },
};

/* Programs the matrix, multiplies, prints. Everything that was made is left to the caller. */
static int multiply(struct lf_device *device, struct lf_matrix **matrix, struct lf_buffer **buffer,
		    struct lf_job **job, struct lf_error *error)
{
	const uint64_t output_offset = ROWS * sizeof(float);
	float *numbers;
	int err;

	err = lf_matrix_create(device, ROWS, COLS, LF_FORMAT_INT8, matrix, error);
	if (!err)
		err = lf_matrix_program(*matrix, 0, ROWS, weights, NULL, error);
	if (!err)
		err = lf_matrix_commit(*matrix, error);
	if (!err)
		err = lf_buffer_create(device, (ROWS + COLS) * sizeof(float), buffer, error);
	if (!err)
		err = lf_job_create(device, job, error);
	if (err)
		return err;

	numbers = lf_buffer_data(*buffer);
	for (int i = 0; i < ROWS; i++)
		numbers[i] = (float)(i + 1);
	lf_job_begin(*job, 0);
	lf_job_mvm(*job, &(struct lf_mvm){
				 .matrix = *matrix,
				 .count = 1,
				 .input = lf_view_buffer(*buffer, 0, 0),
				 .output = lf_view_buffer(*buffer, output_offset, 0),
			 });
	err = lf_job_submit(*job, error);
	if (!err)
		err = lf_job_wait(*job, -1, error);
	if (err)
		return err;

	printf("y =");
	for (int i = 0; i < COLS; i++)
		printf(" %.4f", numbers[ROWS + i]);
	printf("\nmodelled: %llu ns, %llu pJ in the converters\n",
	       (unsigned long long)lf_job_result(*job)->counters.busy_ns,
	       (unsigned long long)lf_job_result(*job)->counters.energy_pj[LF_ENERGY_ADC]);
	return 0;
}

int main(int argc, char **argv)
{
	struct lf_device *device;
	struct lf_matrix *matrix = NULL;
	struct lf_buffer *buffer = NULL;
	struct lf_job *job = NULL;
	struct lf_error error;
	int err;

	err = lf_device_open(argc > 1 ? argv[1] : NULL, &device, &error);
	if (!err) {
		printf("device %s, preset %s\n", lf_device_info(device)->path,
		       lf_device_info(device)->preset);
		err = multiply(device, &matrix, &buffer, &job, &error);
		lf_job_destroy(job);
		lf_buffer_destroy(buffer);
		lf_matrix_close(matrix);
		lf_device_close(device);
	}
	if (err)
		fprintf(stderr, "mvm: %s\n", error.text);
	return err ? 1 : 0;
}
