// SPDX-License-Identifier: MIT
/* config.json of pretrained models; see lf/model_config.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lf/model_config.h>

#include "runtime/io/file.h"
#include "runtime/io/json.h"
#include "runtime/io/text.h"

#define CONFIG_LIMIT_BYTES (1u << 20)

/* Far above any model, and low enough that the product of three sizes fits in 64 bits. */
#define MAX_WIDTH	   (1u << 20)
#define MAX_LAYERS	   4096

struct u32_field {
	const char *key;
	uint32_t maximum;
	uint32_t *value;
};

static int read_fields(const json_t *root, const struct u32_field *fields, size_t count,
		       const char *label, struct lf_error *error)
{
	int ret = 0;

	for (size_t i = 0; i < count && !ret; i++)
		ret = lf_json_u32(root, fields[i].key, 1, fields[i].maximum, fields[i].value, label,
				  error);
	return ret;
}

static int read_epsilon(const json_t *root, const char *key, float *value, const char *label,
			struct lf_error *error)
{
	double epsilon = 0;
	int ret = lf_json_number(root, key, 1e-30, 1.0, &epsilon, label, error);

	*value = (float)epsilon;
	return ret;
}

/* A text that ends up in a message; what others wrote may hold terminal control characters. */
static const char *shown(const char *text)
{
	return lf_text_is_printable(text) ? text : "?";
}

static int read_activation(const char *name, enum lf_activation *activation, const char *key,
			   const char *label, struct lf_error *error)
{
	static const struct {
		const char *name;
		enum lf_activation activation;
	} known[] = {
		{ "relu", LF_ACTIVATION_RELU },
		{ "gelu", LF_ACTIVATION_GELU },
		{ "gelu_new", LF_ACTIVATION_GELU_TANH },
		{ "gelu_pytorch_tanh", LF_ACTIVATION_GELU_TANH },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(name, known[i].name) == 0) {
			*activation = known[i].activation;
			return 0;
		}
	}
	return lf_error_set(error, -ENOTSUP, "%s: field \"%s\": activation \"%.64s\" is unknown",
			    label, key, shown(name));
}

static int read_bert(const json_t *root, struct lf_bert_config *bert, const char *label,
		     struct lf_error *error)
{
	const struct u32_field fields[] = {
		{ "hidden_size", MAX_WIDTH, &bert->hidden_size },
		{ "num_hidden_layers", MAX_LAYERS, &bert->num_hidden_layers },
		{ "num_attention_heads", MAX_WIDTH, &bert->num_attention_heads },
		{ "intermediate_size", MAX_WIDTH, &bert->intermediate_size },
		{ "vocab_size", MAX_WIDTH, &bert->vocab_size },
		{ "max_position_embeddings", MAX_WIDTH, &bert->max_position_embeddings },
		{ "type_vocab_size", MAX_WIDTH, &bert->type_vocab_size },
	};
	const char *text = NULL;
	int ret;

	ret = read_fields(root, fields, sizeof(fields) / sizeof(fields[0]), label, error);
	if (!ret)
		ret = read_epsilon(root, "layer_norm_eps", &bert->layer_norm_eps, label, error);
	if (!ret)
		ret = lf_json_string(root, "hidden_act", &text, label, error);
	if (!ret)
		ret = read_activation(text, &bert->hidden_act, "hidden_act", label, error);
	if (!ret)
		ret = lf_json_string_or(root, "position_embedding_type", "absolute", &text, label,
					error);
	if (ret)
		return ret;
	if (strcmp(text, "absolute") != 0)
		return lf_error_set(
			error, -ENOTSUP,
			"%s: field \"position_embedding_type\" is \"%.64s\", only \"absolute\" is "
			"implemented",
			label, shown(text));
	if (bert->hidden_size % bert->num_attention_heads != 0)
		return lf_error_set(error, -EINVAL,
				    "%s: field \"num_attention_heads\" is %u and does not divide "
				    "\"hidden_size\" %u",
				    label, bert->num_attention_heads, bert->hidden_size);
	return 0;
}

/* "relu" or "gated-gelu": an activation, or a gate through one. T5's gate means gelu_new. */
static int read_feed_forward(const json_t *root, struct lf_t5_config *t5, const char *label,
			     struct lf_error *error)
{
	static const char key[] = "feed_forward_proj";
	const char *text = NULL;
	int ret;

	ret = lf_json_string_or(root, key, "relu", &text, label, error);
	if (ret)
		return ret;
	t5->gated = strncmp(text, "gated-", 6) == 0;
	if (t5->gated)
		text += 6;
	if (t5->gated && strcmp(text, "gelu") == 0)
		text = "gelu_new";
	return read_activation(text, &t5->feed_forward_act, key, label, error);
}

static int read_t5(const json_t *root, struct lf_t5_config *t5, const char *label,
		   struct lf_error *error)
{
	const struct u32_field fields[] = {
		{ "d_model", MAX_WIDTH, &t5->d_model },
		{ "d_kv", MAX_WIDTH, &t5->d_kv },
		{ "d_ff", MAX_WIDTH, &t5->d_ff },
		{ "num_heads", MAX_WIDTH, &t5->num_heads },
		{ "num_layers", MAX_LAYERS, &t5->num_layers },
		{ "vocab_size", MAX_WIDTH, &t5->vocab_size },
		{ "relative_attention_num_buckets", MAX_WIDTH,
		  &t5->relative_attention_num_buckets },
	};
	int ret;

	ret = read_fields(root, fields, sizeof(fields) / sizeof(fields[0]), label, error);
	if (!ret)
		ret = read_epsilon(root, "layer_norm_epsilon", &t5->layer_norm_epsilon, label,
				   error);
	/* Early T5 files leave it out and mean a decoder as deep as the encoder. */
	if (!ret)
		ret = lf_json_u32_or(root, "num_decoder_layers", 1, MAX_LAYERS, t5->num_layers,
				     &t5->num_decoder_layers, label, error);
	if (!ret)
		ret = read_feed_forward(root, t5, label, error);
	if (!ret && (uint64_t)t5->num_heads * t5->d_kv > MAX_WIDTH)
		ret = lf_error_set(
			error, -EINVAL,
			"%s: fields \"num_heads\" %u and \"d_kv\" %u make a width above %u", label,
			t5->num_heads, t5->d_kv, MAX_WIDTH);
	return ret;
}

static int read_root(struct lf_model_config *config, const json_t *root, const char *label,
		     struct lf_error *error)
{
	struct lf_model_config found = { 0 };
	const char *type = NULL;
	int ret;

	if (!json_is_object(root))
		return lf_error_set(error, -EINVAL, "%s: must be a JSON object", label);
	ret = lf_json_string(root, "model_type", &type, label, error);
	if (ret)
		return ret;
	if (strcmp(type, "bert") == 0) {
		found.family = LF_MODEL_BERT;
		ret = read_bert(root, &found.bert, label, error);
	} else if (strcmp(type, "t5") == 0) {
		found.family = LF_MODEL_T5;
		ret = read_t5(root, &found.t5, label, error);
	} else {
		ret = lf_error_set(
			error, -ENOTSUP,
			"%s: field \"model_type\" is \"%.64s\", only \"bert\" and \"t5\" are "
			"understood",
			label, shown(type));
	}
	if (!ret)
		*config = found;
	return ret;
}

int lf_model_config_parse(struct lf_model_config *config, const char *text, size_t size_bytes,
			  const char *label, struct lf_error *error)
{
	json_t *root;
	int ret;

	ret = lf_json_parse(&root, text, size_bytes, label, error);
	if (ret)
		return ret;
	ret = read_root(config, root, label, error);
	json_decref(root);
	return ret;
}

int lf_model_config_read(struct lf_model_config *config, const char *directory,
			 struct lf_error *error)
{
	json_t *root;
	char *path;
	int ret;

	ret = lf_file_join(&path, directory, "config.json", error);
	if (ret)
		return ret;
	ret = lf_json_read(&root, path, CONFIG_LIMIT_BYTES, error);
	if (!ret) {
		ret = read_root(config, root, path, error);
		json_decref(root);
	}
	free(path);
	return ret;
}
