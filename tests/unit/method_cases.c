// SPDX-License-Identifier: MIT
/* See method_cases.h. */
#include "tests/unit/method_cases.h"

/* Query and the output layer: the lowest of a block and one that is alone in its group. */
#define TARGETS (1u << LF_TARGET_QUERY | 1u << LF_TARGET_OUTPUT)
#define RATE	0.01

const char *method_case_name(enum method_case number)
{
	static const char *const names[METHOD_CASES] = {
		[CASE_LORAFUSION_SUM] = "lorafusion, sum",
		[CASE_LORAFUSION_PRODUCT] = "lorafusion, product",
		[CASE_LORA] = "lora",
		[CASE_LORA_ONCE] = "lora, once",
		[CASE_LORA_EACH_STEP] = "lora, each step",
		[CASE_DORA] = "dora",
		[CASE_BITFIT] = "bitfit",
		[CASE_IA3] = "ia3",
		[CASE_VERA] = "vera",
		[CASE_MAGNITUDE] = "magnitude",
		[CASE_FULL] = "full",
		[CASE_FULL_ONCE] = "full, once",
		[CASE_FULL_EACH_STEP] = "full, each step",
	};

	return names[number];
}

static enum lf_place place_of(enum method_case number)
{
	if (number == CASE_LORA_ONCE || number == CASE_FULL_ONCE)
		return LF_PLACE_ONCE;
	return number == CASE_LORA_EACH_STEP || number == CASE_FULL_EACH_STEP ? LF_PLACE_EACH_STEP
									      : LF_PLACE_HOST;
}

static struct lf_method *fusion(struct tiny *tiny, enum lf_merge merge, struct lf_pool **pool)
{
	struct lf_lorafusion_options options;
	struct lf_method *method;

	lf_lorafusion_defaults(&options);
	options.merge = merge;
	*pool = tiny_pool(tiny, "qv");
	ck_assert_lf(lf_lorafusion_create(tiny->encoder, *pool, &options, &method, LF_ERROR));
	return method;
}

struct lf_method *method_case_create(struct tiny *tiny, enum method_case number,
				     struct lf_pool **pool)
{
	struct lf_encoder *encoder = tiny->encoder;
	const struct lf_lora_options lora = {
		.rank = 2, .alpha = 4, .targets = TARGETS, .rate = RATE, .place = place_of(number)
	};
	const struct lf_vera_options vera = {
		.rank = 19, .targets = TARGETS, .rate = RATE, .initial_d = 0.1, .seed = 5
	};
	const struct lf_full_options full = { .targets = TARGETS,
					      .rate = RATE / 10,
					      .place = place_of(number) };
	struct lf_method *method = NULL;

	*pool = NULL;
	switch (number) {
	case CASE_LORAFUSION_SUM:
		return fusion(tiny, LF_MERGE_SUM, pool);
	case CASE_LORAFUSION_PRODUCT:
		return fusion(tiny, LF_MERGE_PRODUCT, pool);
	case CASE_LORA:
	case CASE_LORA_ONCE:
	case CASE_LORA_EACH_STEP:
		ck_assert_lf(lf_lora_create(encoder, &lora, &method, LF_ERROR));
		break;
	case CASE_DORA:
		ck_assert_lf(lf_dora_create(encoder, &lora, &method, LF_ERROR));
		break;
	case CASE_BITFIT:
		ck_assert_lf(lf_bitfit_create(encoder, TARGETS, RATE, &method, LF_ERROR));
		break;
	case CASE_IA3:
		ck_assert_lf(lf_ia3_create(encoder, RATE, &method, LF_ERROR));
		break;
	case CASE_VERA:
		ck_assert_lf(lf_vera_create(encoder, &vera, &method, LF_ERROR));
		break;
	case CASE_MAGNITUDE:
		ck_assert_lf(lf_magnitude_create(encoder, TARGETS, RATE, &method, LF_ERROR));
		break;
	default:
		ck_assert_lf(lf_full_create(encoder, &full, &method, LF_ERROR));
		break;
	}
	return method;
}
