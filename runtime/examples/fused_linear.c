// SPDX-License-Identifier: MIT
/*
 * A LoRAFusion linear as one job: h = W0 x + sum_i c_i B_i A_i x, y = m * h, the modules side by
 * side in two matrices, with nothing of the host in between. The coefficients c and magnitudes m
 * are plain numbers in a buffer: adapting to a task changes them and writes no cell.
 *
 *	cc fused_linear.c $(pkg-config --cflags --libs liblf) -o fused_linear
 *	./fused_linear [device]
 */
#include <stdio.h>

#include <lf/device.h>
#include <lf/job.h>
#include <lf/matrix.h>

#define INPUTS	64
#define OUTPUTS 32
#define MODULES 2
#define RANK	4
#define STACK	(MODULES * RANK)

/* In one buffer, in floats. */
enum { X = 0, C = X + INPUTS, M = C + MODULES, Y = M + OUTPUTS, END = Y + OUTPUTS };

/** struct layer - what one linear layer has on the device */
struct layer {
	struct lf_matrix *base; /* W0: [INPUTS][OUTPUTS] */
	struct lf_matrix *down; /* A of all modules: [INPUTS][STACK] */
	struct lf_matrix *up;	/* B of all modules: [STACK][OUTPUTS] */
	struct lf_buffer *buffer;
	struct lf_job *job;
};

/* Weights of a pattern; a real program quantises those of a file. */
static int deploy(struct lf_device *device, uint32_t rows, uint32_t cols, struct lf_matrix **matrix,
		  struct lf_error *error)
{
	int8_t weights[INPUTS * OUTPUTS];
	int err;

	for (uint32_t i = 0; i < rows * cols; i++)
		weights[i] = (int8_t)((int)(i * 37 % 61) - 30);
	err = lf_matrix_create(device, rows, cols, LF_FORMAT_INT8, matrix, error);
	if (!err)
		err = lf_matrix_program(*matrix, 0, rows, weights, NULL, error);
	if (!err)
		err = lf_matrix_commit(*matrix, error);
	return err;
}

static int make_layer(struct lf_device *device, struct layer *layer, struct lf_error *error)
{
	int err = deploy(device, INPUTS, OUTPUTS, &layer->base, error);

	if (!err)
		err = deploy(device, INPUTS, STACK, &layer->down, error);
	if (!err)
		err = deploy(device, STACK, OUTPUTS, &layer->up, error);
	if (!err)
		err = lf_buffer_create(device, END * sizeof(float), &layer->buffer, error);
	if (!err)
		err = lf_job_create(device, &layer->job, error);
	return err;
}

static void free_layer(struct layer *layer)
{
	lf_job_destroy(layer->job);
	lf_buffer_destroy(layer->buffer);
	lf_matrix_close(layer->up);
	lf_matrix_close(layer->down);
	lf_matrix_close(layer->base);
}

static struct lf_view numbers(const struct layer *layer, int first)
{
	return lf_view_buffer(layer->buffer, (uint64_t)first * sizeof(float), 0);
}

static void fill(const struct layer *layer)
{
	struct lf_job *job = layer->job;
	struct lf_view h, z;

	lf_job_begin(job, 0);
	h = lf_view_scratch(lf_job_scratch(job, OUTPUTS * sizeof(float)), 0);
	z = lf_view_scratch(lf_job_scratch(job, STACK * sizeof(float)), 0);
	lf_job_mvm(job, &(struct lf_mvm){
				.matrix = layer->base,
				.count = 1,
				.input = numbers(layer, X),
				.output = h,
			});
	lf_job_mvm(job, &(struct lf_mvm){
				.matrix = layer->down,
				.count = 1,
				.input = numbers(layer, X),
				.output = z,
			});
	lf_job_fuse(job, &(struct lf_fuse){
				 .flags = LF_FUSE_SUM,
				 .count = 1,
				 .width = STACK,
				 .rank = RANK,
				 .input = z,
				 .output = z,
				 .scale = numbers(layer, C),
			 });
	lf_job_mvm(job, &(struct lf_mvm){
				.matrix = layer->up,
				.flags = LF_MVM_ACCUMULATE,
				.count = 1,
				.input = z,
				.output = h,
			});
	lf_job_fuse(job, &(struct lf_fuse){
				 .flags = LF_FUSE_AFFINE,
				 .count = 1,
				 .width = OUTPUTS,
				 .input = h,
				 .output = numbers(layer, Y),
				 .scale = numbers(layer, M),
			 });
}

/*
 * The same job for several settings of the coefficients: it is filled once and submitted again and
 * again.
 */
static int run(struct lf_device *device, const struct layer *layer, struct lf_error *error)
{
	float *data = lf_buffer_data(layer->buffer);
	struct lf_counters deployed, total;
	int err;

	for (int i = 0; i < INPUTS; i++)
		data[X + i] = (float)(i % 7) / 7.0f;
	for (int i = 0; i < OUTPUTS; i++)
		data[M + i] = 0.01f;
	err = lf_device_counters(device, &deployed, error);
	if (err)
		return err;
	fill(layer);
	for (int setting = 0; setting < 3; setting++) {
		data[C] = 0.5f * (float)setting;
		data[C + 1] = 1.0f - data[C];
		err = lf_job_submit(layer->job, error);
		if (!err)
			err = lf_job_wait(layer->job, -1, error);
		if (err)
			return err;
		printf("c = (%.1f, %.1f): y = (%.3f, %.3f, %.3f, ...)\n", data[C], data[C + 1],
		       data[Y], data[Y + 1], data[Y + 2]);
	}
	err = lf_device_counters(device, &total, error);
	if (err)
		return err;
	printf("cells written: %llu to deploy, %llu to adapt\n",
	       (unsigned long long)deployed.cells_written,
	       (unsigned long long)(total.cells_written - deployed.cells_written));
	return 0;
}

int main(int argc, char **argv)
{
	struct lf_device *device;
	struct layer layer = { 0 };
	struct lf_error error;
	int err;

	err = lf_device_open(argc > 1 ? argv[1] : NULL, &device, &error);
	if (!err) {
		err = make_layer(device, &layer, &error);
		if (!err)
			err = run(device, &layer, &error);
		free_layer(&layer);
		lf_device_close(device);
	}
	if (err)
		fprintf(stderr, "fused_linear: %s\n", error.text);
	return err ? 1 : 0;
}
