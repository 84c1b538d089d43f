/* SPDX-License-Identifier: MIT */
/*
 * The tiny model of tests/golden/gradients on a device, with its task and what the reference expects of it. For the tests of
 * the encoder and of what adapts it; run from the root of the source tree.
 */
#ifndef TESTS_UNIT_TINY_FIXTURE_H
#define TESTS_UNIT_TINY_FIXTURE_H

#include <check.h>

#include <lf/examples.h>
#include <lf/head.h>
#include <lf/method.h>
#include <lf/safetensors.h>

#include "runtime/nn/encoder.h"
#include "tests/unit/device_fixture.h"

#define TINY_FOLDER "tests/golden/gradients"
#define TINY_MODEL  TINY_FOLDER "/model"
#define TINY_NAME   "tiny"

/* What the model's files say. */
enum {
	TINY_HIDDEN = 21,
	TINY_INNER = 37,
	TINY_BLOCKS = 2,
	TINY_LINEARS = 12,
	TINY_POSITIONS = 13,
	TINY_VOCABULARY = 41,
	TINY_MODULES = 3,
	TINY_RANK = 4,
	TINY_CLASSES = 3,
	TINY_EXAMPLES = 6,
};

/** struct tiny - the model, deployed and opened, and the task's examples in one batch */
struct tiny {
	const char *kind; /* "float" or "ideal", as the reference names its cases */
	struct lf_device *device;
	struct lf_encoder *encoder;
	struct lf_tokenizer *tokenizer;
	struct lf_label_set *labels;
	struct lf_examples examples;
	struct lf_batch batch;
	struct lf_head *head; /* of cosines, temperature 0.05 */
	struct lf_safetensors *expected;
};

/** struct tiny_options - how it is opened; zeros are 1 thread and the widest kernels */
struct tiny_options {
	uint32_t threads;
	const char *simd;
};

/** tiny_open() - deploy to "inproc:KIND" and open everything */
void tiny_open(struct tiny *tiny, const char *kind, const struct tiny_options *options);

/** tiny_close() - close everything */
void tiny_close(struct tiny *tiny);

/** tiny_modules() - the modules of pool "qv" or "all"; release with lf_pool_modules_release() */
void tiny_modules(const char *pool, struct lf_pool_modules *modules);

/** tiny_pool() - deploy and open pool "qv" or "all" */
struct lf_pool *tiny_pool(struct tiny *tiny, const char *pool);

/** tiny_fusion() - LoRAFusion of a pool, attached for training, parameters of the case POOL-MERGE */
struct lf_method *tiny_fusion(struct tiny *tiny, struct lf_pool *pool, const char *name,
			      enum lf_merge merge);

/** tiny_parameters() - a group of a method by its name */
const struct lf_parameters *tiny_parameters(const struct lf_method *method, const char *name);

/** tiny_step() - one forward and backward pass of the task; returns the mean loss */
double tiny_step(struct tiny *tiny, struct lf_method *method, float *embeddings);

/** tiny_along() - the task's embeddings times @direction [TINY_EXAMPLES][TINY_HIDDEN], summed up in double */
double tiny_along(struct tiny *tiny, struct lf_method *method, const float *direction);

/** tiny_region() - block 0 of a region of the last pass, [tokens][width], the lanes one behind the other */
void tiny_region(const struct tiny *tiny, enum lf_region region, uint32_t width, float *values);

/** tiny_expected() - tensor KIND.NAME, [count]; free() it */
float *tiny_expected(const struct tiny *tiny, const char *name, size_t count);

/**
 * expect_close() - fail unless two arrays agree
 * @what: for the message
 * @tolerance: largest difference, as a share of the largest expected magnitude
 *
 * The environment variable LF_TEST_FIGURES prints what was found.
 */
void expect_close(const char *what, const float *actual, const float *expected, size_t count,
		  double tolerance);

/** tiny_expect() - expect_close() to tensor KIND.NAME */
void tiny_expect(const struct tiny *tiny, const char *name, const float *actual, size_t count,
		 double tolerance);

/** largest_difference() - the share that expect_close() compares with its tolerance */
double largest_difference(const float *actual, const float *expected, size_t count);

#endif
