// SPDX-License-Identifier: MIT
/* What all adaptation methods share; see method.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/adapt/method.h"

const char *lf_target_name(enum lf_target target)
{
	static const char *const names[LF_TARGETS] = {
		[LF_TARGET_QUERY] = "query",
		[LF_TARGET_KEY] = "key",
		[LF_TARGET_VALUE] = "value",
		[LF_TARGET_ATTENTION_OUTPUT] = "attention.output.dense",
		[LF_TARGET_INTERMEDIATE] = "intermediate.dense",
		[LF_TARGET_OUTPUT] = "output.dense",
	};

	return names[target];
}

void *lf_method_new(size_t size_bytes, const struct lf_method_ops *ops,
		    const struct lf_hook_ops *hook_ops, struct lf_encoder *encoder,
		    struct lf_error *error)
{
	struct lf_method *method = calloc(1, size_bytes);

	if (!method) {
		lf_error_set(error, -ENOMEM, "%s: no memory", ops->name);
		return NULL;
	}
	method->ops = ops;
	method->encoder = encoder;
	method->hook = (struct lf_hook){ hook_ops, method };
	return method;
}

int lf_method_created(int ret, struct lf_method *made, struct lf_method **method)
{
	if (ret)
		lf_method_free(made);
	else
		*method = made;
	return ret;
}

int lf_method_allocate(struct lf_method *method, struct lf_error *error)
{
	size_t count = 0;
	float *cursor;

	for (uint32_t group = 0; group < method->group_count; group++)
		count += method->groups[group].count;
	method->storage = calloc(2 * count, sizeof(float));
	if (!method->storage)
		return lf_error_set(error, -ENOMEM, "%s: no memory for the parameters",
				    method->ops->name);
	cursor = method->storage;
	for (uint32_t group = 0; group < method->group_count; group++) {
		struct lf_parameters *parameters = &method->groups[group];

		parameters->values = cursor;
		parameters->gradients = cursor + parameters->count;
		cursor += 2 * parameters->count;
	}
	return 0;
}

/* Numbers an output, where every layer has as many of them. */
static size_t outputs_share(const struct lf_method *method, uint32_t group, uint32_t index)
{
	size_t all = 0, own = 0;

	for (uint32_t at = 0; at < lf_bert_linears(&method->encoder->config); at++) {
		uint32_t inputs, outputs;

		if (!method->hook.ops->adapts(method->hook.state, at))
			continue;
		lf_linear_shape(&method->encoder->config, at, &inputs, &outputs);
		all += outputs;
		own = at == index ? outputs : own;
	}
	return all ? method->groups[group].count / all * own : 0;
}

void lf_method_place(const struct lf_method *method, uint32_t group, size_t number,
		     char text[LF_METHOD_PLACE_BYTES])
{
	char path[LF_LINEAR_PATH_BYTES] = "";
	size_t before = 0;

	for (uint32_t index = 0; index < lf_bert_linears(&method->encoder->config); index++) {
		if (!method->hook.ops->adapts(method->hook.state, index))
			continue;
		before += method->ops->share ? method->ops->share(method, group, index)
					     : outputs_share(method, group, index);
		if (number >= before)
			continue;
		lf_linear_path(index, path);
		break;
	}
	snprintf(text, LF_METHOD_PLACE_BYTES, "%s, number %zu, %s", method->groups[group].name,
		 number, path);
}

void lf_method_free(struct lf_method *method)
{
	if (!method)
		return;
	free(method->storage);
	method->ops->destroy(method);
}

const char *lf_method_name(const struct lf_method *method)
{
	return method->ops->name;
}

int lf_method_start(struct lf_method *method, uint64_t seed, struct lf_error *error)
{
	return method->ops->start(method, seed, error);
}

int lf_method_attach(struct lf_method *method, bool training, struct lf_error *error)
{
	if (training)
		method->finished = false;
	return lf_encoder_attach(method->encoder, &method->hook, training, error);
}

int lf_method_prepare(struct lf_method *method, struct lf_error *error)
{
	return method->ops->prepare ? method->ops->prepare(method, error) : 0;
}

int lf_method_finish(struct lf_method *method, struct lf_error *error)
{
	method->finished = true;
	return lf_method_prepare(method, error);
}

void lf_method_writes(const struct lf_method *method, struct lf_method_writes *writes)
{
	*writes = method->writes;
}

const struct lf_parameters *lf_method_parameters(const struct lf_method *method, uint32_t *count)
{
	*count = method->group_count;
	return method->groups;
}

uint64_t lf_method_trainable(const struct lf_method *method)
{
	uint64_t count = 0;

	for (uint32_t group = 0; group < method->group_count; group++)
		if (method->groups[group].learning_rate > 0)
			count += method->groups[group].count;
	return count;
}

uint32_t lf_method_tensors(const struct lf_method *method, struct lf_checkpoint_tensor *tensors)
{
	for (uint32_t group = 0; group < method->group_count; group++)
		tensors[group] = (struct lf_checkpoint_tensor){
			.name = method->groups[group].name,
			.rank = 1,
			.shape = { method->groups[group].count },
			.values = method->groups[group].values,
		};
	if (!method->ops->derived)
		return method->group_count;
	return method->group_count + method->ops->derived(method, tensors + method->group_count);
}

int lf_lora_write(const struct lf_method *method, const char *directory, const char *base_model,
		  struct lf_error *error)
{
	if (method->ops->write)
		return method->ops->write(method, directory, base_model, error);
	return lf_error_set(error, -EINVAL, "%s is not a LoRA", method->ops->name);
}
