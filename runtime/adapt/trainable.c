// SPDX-License-Identifier: MIT
/* Counting trained numbers; see lf/trainable.h. */
#include <errno.h>

#include <lf/adapter.h>
#include <lf/method.h>
#include <lf/trainable.h>

static void add_linear(struct lf_trainable *count, uint32_t rank, uint64_t inputs, uint64_t outputs)
{
	count->linears++;
	count->magnitudes += outputs;
	count->lora += rank * (inputs + outputs);
	count->frozen += inputs * outputs;
}

static int count_bert(const struct lf_bert_config *config, uint32_t rank, uint32_t targets,
		      struct lf_trainable *count)
{
	for (enum lf_target target = 0; target < LF_TARGETS; target++) {
		uint64_t inputs = target == LF_TARGET_OUTPUT ? config->intermediate_size
							     : config->hidden_size;
		uint64_t outputs = target == LF_TARGET_INTERMEDIATE ? config->intermediate_size
								    : config->hidden_size;

		for (uint32_t block = 0; block < config->num_hidden_layers; block++)
			if (targets & (1u << target))
				add_linear(count, rank, inputs, outputs);
	}
	count->blocks = config->num_hidden_layers;
	return 0;
}

static int count_t5(const struct lf_t5_config *config, uint32_t rank, uint32_t targets,
		    struct lf_trainable *count, struct lf_error *error)
{
	const uint32_t attention = 1u << LF_TARGET_QUERY | 1u << LF_TARGET_KEY |
				   1u << LF_TARGET_VALUE | 1u << LF_TARGET_ATTENTION_OUTPUT;
	uint64_t attentions = config->num_layers + 2 * (uint64_t)config->num_decoder_layers;
	uint64_t inner = (uint64_t)config->num_heads * config->d_kv;

	if (targets & ~attention)
		return lf_error_set(error, -ENOTSUP,
				    "targets: only the attention layers of a T5 can be adapted");
	for (enum lf_target target = 0; target < LF_TARGETS; target++)
		for (uint64_t at = 0; at < attentions; at++)
			if (targets & (1u << target)) {
				bool output = target == LF_TARGET_ATTENTION_OUTPUT;

				add_linear(count, rank, output ? inner : config->d_model,
					   output ? config->d_model : inner);
			}
	count->blocks = config->num_layers + (uint64_t)config->num_decoder_layers;
	return 0;
}

int lf_trainable_count(const struct lf_model_config *config, uint32_t modules, uint32_t rank,
		       uint32_t targets, struct lf_trainable *count, struct lf_error *error)
{
	int ret;

	*count = (struct lf_trainable){ 0 };
	if (!modules || modules > LF_POOL_MODULES)
		return lf_error_set(error, -EINVAL, "modules %u: 1 to %u", modules,
				    LF_POOL_MODULES);
	if (!rank || rank > LF_ADAPTER_MAX_RANK)
		return lf_error_set(error, -EINVAL, "rank %u: 1 to %u", rank, LF_ADAPTER_MAX_RANK);
	if (!targets || targets >> LF_TARGETS)
		return lf_error_set(error, -EINVAL, "targets: none, or an unknown one");
	ret = config->family == LF_MODEL_BERT ? count_bert(&config->bert, rank, targets, count)
					      : count_t5(&config->t5, rank, targets, count, error);
	if (ret)
		return ret;
	count->coefficients = modules * count->blocks;
	count->lorafusion = count->coefficients + count->magnitudes;
	return 0;
}
