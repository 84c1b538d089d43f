// SPDX-License-Identifier: MIT
/* Counts of trained numbers, of a T5 and of a BERT, from shapes alone. */
#include <errno.h>
#include <string.h>

#include <lf/method.h>
#include <lf/trainable.h>

#include "tests/unit/device_fixture.h"
#include "tests/unit/suite.h"

#define QUERY_AND_VALUE (1u << LF_TARGET_QUERY | 1u << LF_TARGET_VALUE)

/* What the config.json of flan-t5-large says of its shapes. */
static const char flan_t5_large[] =
	"{\"model_type\": \"t5\", \"d_ff\": 2816, \"d_kv\": 64, \"d_model\": 1024, "
	"\"feed_forward_proj\": \"gated-gelu\", \"layer_norm_epsilon\": 1e-06, "
	"\"num_decoder_layers\": 24, \"num_heads\": 16, \"num_layers\": 24, "
	"\"relative_attention_num_buckets\": 32, \"vocab_size\": 32128}";

/* What all-MiniLM-L6-v2's says. */
static const char minilm[] =
	"{\"model_type\": \"bert\", \"hidden_act\": \"gelu\", \"hidden_size\": 384, "
	"\"intermediate_size\": 1536, \"layer_norm_eps\": 1e-12, "
	"\"max_position_embeddings\": 512, \"num_attention_heads\": 12, "
	"\"num_hidden_layers\": 6, \"type_vocab_size\": 2, \"vocab_size\": 30522}";

static struct lf_model_config config_of(const char *text)
{
	struct lf_model_config config;

	ck_assert_lf(lf_model_config_parse(&config, text, strlen(text), "config", LF_ERROR));
	return config;
}

START_TEST(flan_t5_large_as_its_authors_count)
{
	struct lf_model_config config = config_of(flan_t5_large);
	struct lf_trainable count;

	ck_assert_lf(lf_trainable_count(&config, 20, 16, QUERY_AND_VALUE, &count, LF_ERROR));
	ck_assert_uint_eq(count.linears, 144);
	ck_assert_uint_eq(count.blocks, 48);
	ck_assert_uint_eq(count.coefficients, 960);
	ck_assert_uint_eq(count.magnitudes, 147456);
	ck_assert_uint_eq(count.lorafusion, 148416);
	ck_assert_uint_eq(count.lora, 4718592);
	ck_assert_uint_eq(count.frozen, 144ull * 1024 * 1024);
}
END_TEST

START_TEST(minilm_by_hand)
{
	struct lf_model_config config = config_of(minilm);
	struct lf_trainable count;

	ck_assert_lf(lf_trainable_count(&config, 20, 16, QUERY_AND_VALUE, &count, LF_ERROR));
	ck_assert_uint_eq(count.linears, 12);
	ck_assert_uint_eq(count.coefficients, 120);
	ck_assert_uint_eq(count.magnitudes, 12 * 384);
	ck_assert_uint_eq(count.lorafusion, 4728);
	ck_assert_uint_eq(count.lora, 12 * 16 * (384 + 384));
	ck_assert_lf(lf_trainable_count(&config, 1, 1, (1u << LF_TARGETS) - 1, &count, LF_ERROR));
	ck_assert_uint_eq(count.linears, 36);
	ck_assert_uint_eq(count.magnitudes, 6 * (5 * 384 + 1536));
	ck_assert_uint_eq(count.lora, 6 * (4 * (384 + 384) + 2 * (384 + 1536)));
	ck_assert_uint_eq(count.frozen, 10616832);
}
END_TEST

/* The attention of a T5 may be narrower or wider than the model. */
START_TEST(heads_wider_than_the_model)
{
	struct lf_model_config config = config_of(flan_t5_large);
	struct lf_trainable count;

	config.t5.num_heads = 32;
	ck_assert_lf(lf_trainable_count(&config, 1, 1,
					1u << LF_TARGET_QUERY | 1u << LF_TARGET_ATTENTION_OUTPUT,
					&count, LF_ERROR));
	ck_assert_uint_eq(count.magnitudes, 72 * (2048 + 1024));
	ck_assert_uint_eq(count.lora, 2 * 72 * (2048 + 1024));
}
END_TEST

START_TEST(what_is_refused)
{
	struct lf_model_config t5 = config_of(flan_t5_large);
	struct lf_trainable count;

	ck_assert_lf_fails(lf_trainable_count(&t5, 0, 16, QUERY_AND_VALUE, &count, LF_ERROR),
			   -EINVAL, "modules 0: 1 to 256");
	ck_assert_lf_fails(lf_trainable_count(&t5, 257, 16, QUERY_AND_VALUE, &count, LF_ERROR),
			   -EINVAL, "modules 257");
	ck_assert_lf_fails(lf_trainable_count(&t5, 20, 0, QUERY_AND_VALUE, &count, LF_ERROR),
			   -EINVAL, "rank 0: 1 to 1024");
	ck_assert_lf_fails(lf_trainable_count(&t5, 20, 1025, QUERY_AND_VALUE, &count, LF_ERROR),
			   -EINVAL, "rank 1025");
	ck_assert_lf_fails(lf_trainable_count(&t5, 20, 16, 0, &count, LF_ERROR), -EINVAL,
			   "targets");
	ck_assert_lf_fails(lf_trainable_count(&t5, 20, 16, 1u << LF_TARGETS, &count, LF_ERROR),
			   -EINVAL, "targets");
	ck_assert_lf_fails(
		lf_trainable_count(&t5, 20, 16, 1u << LF_TARGET_INTERMEDIATE, &count, LF_ERROR),
		-ENOTSUP, "only the attention layers of a T5");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trainable");
	TCase *tcase = tcase_create("trainable");

	tcase_add_test(tcase, flan_t5_large_as_its_authors_count);
	tcase_add_test(tcase, minilm_by_hand);
	tcase_add_test(tcase, heads_wider_than_the_model);
	tcase_add_test(tcase, what_is_refused);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
