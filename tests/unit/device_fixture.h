/* SPDX-License-Identifier: MIT */
/* Devices, matrices and what a device must answer, for the tests of the device interface. */
#ifndef TESTS_UNIT_DEVICE_FIXTURE_H
#define TESTS_UNIT_DEVICE_FIXTURE_H

#include <stdint.h>

#include <check.h>

#include <lf/device.h>
#include <lf/job.h>
#include <lf/matrix.h>

/* A call of the library that must succeed; its message is shown if it does not. */
#define ck_assert_lf(call)                                                     \
	do {                                                                   \
		struct lf_error error_ = { 0 };                                \
		int err_ = call;                                               \
		ck_assert_msg(!err_, "%s: %d (%s)", #call, err_, error_.text); \
	} while (0)

/* The argument in a call within ck_assert_lf(). */
#define LF_ERROR (&error_)

/* A call that must fail with this code and a message that holds this text. */
#define ck_assert_lf_fails(call, code_, fragment_)                                                 \
	do {                                                                                       \
		struct lf_error error_ = { 0 };                                                    \
		int err_ = call;                                                                   \
		ck_assert_msg(err_ == (code_) && error_.code == (code_) &&                         \
				      strstr(error_.text, fragment_),                              \
			      "%s: %d (%s), not %s with \"%s\"", #call, err_, error_.text, #code_, \
			      fragment_);                                                          \
	} while (0)

/** random_fill() - numbers of -1 .. 1 that are the same for a seed */
void random_fill(float *values, size_t count, uint32_t seed);

/** random_weights() - weights of a format, of -127 .. 127 or -1 .. 1 */
void random_weights(void *weights, size_t count, uint32_t format, uint32_t seed);

/** open_device() - a device that must open */
struct lf_device *open_device(const char *specification);

/** make_buffer() - a buffer that must be had */
struct lf_buffer *make_buffer(struct lf_device *device, size_t bytes);

/** device_format() - the format that a device's weights have */
uint32_t device_format(struct lf_device *device);

/** make_matrix() - a committed matrix of random weights, which @weights (free() it) receives too */
struct lf_matrix *make_matrix(struct lf_device *device, uint32_t rows, uint32_t cols, uint32_t seed,
			      void **weights);

/**
 * struct reference - one vector multiplied as lf/lf_hw.h tells, a rounding at a time
 * @weights: [@rows][@cols] of @format
 * @tile_rows: rows of a tile
 * @flags: LF_MVM_*; with LF_MVM_ACCUMULATE @output is added to
 * @partials: [tile rows][@cols] or NULL
 */
struct reference {
	const void *weights;
	uint32_t rows;
	uint32_t cols;
	uint32_t format;
	uint32_t tile_rows;
	uint16_t flags;
	const float *input;
	const float *factor;
	const float *scale;
	const float *bias;
	float *output;
	float *partials;
};

/** fixture_mvm() - compute @output and @partials */
void fixture_mvm(const struct reference *mvm);

#endif
