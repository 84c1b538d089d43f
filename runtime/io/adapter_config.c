// SPDX-License-Identifier: MIT
/*
 * adapter_config.json as PEFT writes it. Fields that change what an adapter computes are
 * understood or refused; fields about how it was trained are skipped.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/adapter_config.h"
#include "runtime/io/json.h"
#include "runtime/io/text.h"
#include "runtime/simd/number.h"

#define CONFIG_LIMIT_BYTES (4u << 20)
#define MAX_ALPHA	   1e6

/* Features that make the adapter more, or something else, than B A beside the named layers. */
static const char *const unsupported[] = {
	"modules_to_save",	   /* whole layers replaced */
	"layer_replication",	   /* layers of the base repeated */
	"target_parameters",	   /* parameters that are no layers */
	"trainable_token_indices", /* rows of the embedding replaced */
	"alora_invocation_tokens", /* switched on in the middle of a text */
	"use_qalora",		   /* inputs pooled in front of A */
	"lora_bias",		   /* a bias behind B */
	"use_bdlora",		   /* A or B of blocks on a diagonal, packed */
	"kasa_config",		   /* singular values between A and B, taken from the base */
	"arrow_config",		   /* several adapters, chosen token by token */
};

/* Starting points that subtract something from the base weights, which stay as they are here. */
static const char *const changes_base[] = { "pissa", "olora", "corda", "loftq", "lora_ga" };

/* False, null, empty: a feature that is not used. */
static bool is_unused(const json_t *field)
{
	return !field || json_is_null(field) || json_is_false(field) ||
	       (json_is_array(field) && json_array_size(field) == 0) ||
	       (json_is_object(field) && json_object_size(field) == 0);
}

static int check_features(const json_t *root, const char *path, struct lf_error *error)
{
	const char *start = json_string_value(json_object_get(root, "init_lora_weights"));
	const char *bias = "none", *type = NULL;
	int ret;

	ret = lf_json_string(root, "peft_type", &type, path, error);
	if (ret)
		return ret;
	if (strcmp(type, "LORA") != 0)
		return lf_error_set(error, -ENOTSUP,
				    "%s: field \"peft_type\" is \"%.32s\", expected \"LORA\"", path,
				    lf_text_is_printable(type) ? type : "?");
	ret = lf_json_string_or(root, "bias", "none", &bias, path, error);
	if (ret)
		return ret;
	if (strcmp(bias, "none") != 0)
		return lf_error_set(error, -ENOTSUP, "%s: field \"bias\" must be \"none\"", path);
	for (size_t i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++) {
		if (!is_unused(json_object_get(root, unsupported[i])))
			return lf_error_set(
				error, -ENOTSUP,
				"%s: field \"%s\" asks for something that is not implemented", path,
				unsupported[i]);
	}
	for (size_t i = 0; start && i < sizeof(changes_base) / sizeof(changes_base[0]); i++) {
		if (strncmp(start, changes_base[i], strlen(changes_base[i])) == 0)
			return lf_error_set(
				error, -ENOTSUP,
				"%s: field \"init_lora_weights\": an adapter started by %s needs "
				"changed base weights; convert it to a plain one",
				path, changes_base[i]);
	}
	return 0;
}

static int check_targets(const json_t *root, const char *path, struct lf_error *error)
{
	const json_t *targets = json_object_get(root, "target_modules");
	const json_t *target;
	size_t i;

	if (lf_json_absent(root, "target_modules"))
		return lf_error_set(error, -ENOENT, "%s: field \"target_modules\" is missing",
				    path);
	if (json_is_string(targets))
		return 0;
	if (!json_is_array(targets) || json_array_size(targets) == 0)
		return lf_error_set(
			error, -EINVAL,
			"%s: field \"target_modules\" must be a list of names or a pattern", path);
	json_array_foreach((json_t *)targets, i, target)
	{
		if (!json_is_string(target))
			return lf_error_set(
				error, -EINVAL,
				"%s: field \"target_modules\": element %zu must be a string", path,
				i);
	}
	return 0;
}

/* PEFT takes the keys for regular expressions; those that are plain names are understood. */
static int check_pattern(const json_t *root, const char *key, const char *path,
			 struct lf_error *error)
{
	const json_t *pattern = json_object_get(root, key);
	const char *name;
	json_t *value;

	if (lf_json_absent(root, key))
		return 0;
	if (!json_is_object(pattern))
		return lf_error_set(error, -EINVAL, "%s: field \"%s\" must be an object", path,
				    key);
	json_object_foreach((json_t *)pattern, name, value)
	{
		if (*name == '\0' || strpbrk(name, "\\^$*+?{}[]()|") || !lf_text_is_printable(name))
			return lf_error_set(
				error, -ENOTSUP,
				"%s: field \"%s\": a key is not the plain name of a layer", path,
				key);
	}
	return 0;
}

static int check(struct lf_adapter_config *config, const char *path, struct lf_error *error)
{
	const json_t *root = config->root;
	bool fan_in_fan_out;
	int ret;

	if (!json_is_object(root))
		return lf_error_set(error, -EINVAL, "%s: must be a JSON object", path);
	ret = check_features(root, path, error);
	if (!ret)
		ret = check_targets(root, path, error);
	if (!ret)
		ret = lf_json_u32(root, "r", 1, LF_ADAPTER_MAX_RANK, &config->rank, path, error);
	if (!ret)
		ret = lf_json_number(root, "lora_alpha", 1e-6, MAX_ALPHA, &config->alpha, path,
				     error);
	if (!ret)
		ret = lf_json_bool_or(root, "use_rslora", false, &config->use_rslora, path, error);
	if (!ret)
		ret = lf_json_bool_or(root, "use_dora", false, &config->use_dora, path, error);
	/* How the base stores its weight; A and B have the same shapes either way. */
	if (!ret)
		ret = lf_json_bool_or(root, "fan_in_fan_out", false, &fan_in_fan_out, path, error);
	if (!ret)
		ret = check_pattern(root, "rank_pattern", path, error);
	if (!ret)
		ret = check_pattern(root, "alpha_pattern", path, error);
	return ret;
}

int lf_adapter_config_read(struct lf_adapter_config *config, const char *path,
			   struct lf_error *error)
{
	struct lf_adapter_config found = { 0 };
	int ret;

	ret = lf_json_read(&found.root, path, CONFIG_LIMIT_BYTES, error);
	if (ret)
		return ret;
	ret = check(&found, path, error);
	if (ret)
		lf_adapter_config_free(&found);
	else
		*config = found;
	return ret;
}

void lf_adapter_config_free(struct lf_adapter_config *config)
{
	json_decref(config->root);
	config->root = NULL;
}

bool lf_adapter_names_layer(const char *name, const char *layer)
{
	size_t name_bytes = strlen(name), layer_bytes = strlen(layer);

	if (name_bytes > layer_bytes || strcmp(layer + layer_bytes - name_bytes, name) != 0)
		return false;
	return name_bytes == layer_bytes || layer[layer_bytes - name_bytes - 1] == '.';
}

/* The first key of a pattern object that names the layer, NULL if none does. */
static const char *pattern_key(const json_t *pattern, const char *layer)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)pattern, name, value)
	{
		if (lf_adapter_names_layer(name, layer))
			return name;
	}
	return NULL;
}

int lf_adapter_config_layer(const struct lf_adapter_config *config, const char *layer,
			    uint32_t *rank, float *scale, const char *path, struct lf_error *error)
{
	const json_t *ranks = json_object_get(config->root, "rank_pattern");
	const json_t *alphas = json_object_get(config->root, "alpha_pattern");
	const char *rank_key = pattern_key(ranks, layer);
	const char *alpha_key = pattern_key(alphas, layer);
	double alpha = config->alpha;
	int ret = 0;

	*rank = config->rank;
	if (rank_key)
		ret = lf_json_u32(ranks, rank_key, 1, LF_ADAPTER_MAX_RANK, rank, path, error);
	if (!ret && alpha_key)
		ret = lf_json_number(alphas, alpha_key, 1e-6, MAX_ALPHA, &alpha, path, error);
	*scale = (float)(alpha / (double)(config->use_rslora ? number_root((float)*rank) : *rank));
	return ret;
}

bool lf_adapter_config_targets(const struct lf_adapter_config *config, const char *layer)
{
	const json_t *targets = json_object_get(config->root, "target_modules");
	const json_t *target;
	size_t i;

	/* Restricted to some blocks, a list says what may be there, not what must. */
	if (!json_is_array(targets) ||
	    !is_unused(json_object_get(config->root, "exclude_modules")) ||
	    !lf_json_absent(config->root, "layers_to_transform"))
		return false;
	json_array_foreach((json_t *)targets, i, target)
	{
		if (lf_adapter_names_layer(json_string_value(target), layer))
			return true;
	}
	return false;
}

char *lf_adapter_config_format(const struct lf_adapter_description *description, bool use_dora)
{
	json_t *targets = json_array();
	json_t *root;
	char *text = NULL;
	size_t length;
	int failed = !targets;

	for (size_t i = 0; i < description->target_count && !failed; i++)
		failed =
			json_array_append_new(targets, json_string(description->target_modules[i]));
	if (failed) {
		json_decref(targets);
		return NULL;
	}
	/* Takes over targets, also when it fails. */
	root = json_pack("{s:s, s:s, s:s, s:b, s:o, s:i, s:f, s:f, s:s, s:b, s:b, s:b, s:b, s:n, "
			 "s:{}, s:{}}",
			 "peft_type", "LORA", "task_type", "FEATURE_EXTRACTION",
			 "base_model_name_or_path", description->base_model, "inference_mode", 1,
			 "target_modules", targets, "r", (int)description->rank, "lora_alpha",
			 (double)description->alpha, "lora_dropout", 0.0, "bias", "none",
			 "fan_in_fan_out", 0, "use_rslora", (int)description->use_rslora,
			 "use_dora", (int)use_dora, "init_lora_weights", 1, "modules_to_save",
			 "rank_pattern", "alpha_pattern");
	length = root ? json_dumpb(root, NULL, 0, JSON_INDENT(2)) : 0;
	if (length)
		text = calloc(length + 1, 1);
	/* Not json_dumps(), which drops keys without a word when its buffer cannot grow. */
	if (text && json_dumpb(root, text, length, JSON_INDENT(2)) != length) {
		free(text);
		text = NULL;
	}
	json_decref(root);
	return text;
}
