// SPDX-License-Identifier: MIT
/* Opening devices and tokenizers; see open.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <lf/model_config.h>

#include "tools/lfctl/open.h"

static void name_default(const struct lf_device_info *info)
{
	if (strcmp(info->kind, "inproc"))
		fprintf(stderr, "lfctl: device %s\n", info->path);
	else
		fprintf(stderr,
			"lfctl: no accelerator found, working on %s in this process; its cells are "
			"forgotten at the end (--device %s,memory=FILE keeps them)\n",
			info->path, info->path);
}

int open_device(const struct common *common, struct lf_device **device, struct lf_error *error)
{
	int ret = lf_device_open(common->device, device, error);

	switch (ret) {
	case 0:
		if (!common->device && !common->quiet)
			name_default(lf_device_info(*device));
		return 0;
	case -EINVAL:
		return COMMAND_EXIT(EXIT_USAGE);
	case -EILSEQ: /* memory that is not a device's, or damaged */
	case -EPROTO:
		return COMMAND_EXIT(EXIT_DEVICE);
	default:
		return ret;
	}
}

int open_tokenizer(const char *model, struct lf_tokenizer **tokenizer, struct lf_error *error)
{
	struct lf_model_config config;
	int ret;

	ret = lf_model_config_read(&config, model, error);
	if (ret)
		return ret;
	if (config.family != LF_MODEL_BERT)
		return lf_error_set(
			error, -ENOTSUP,
			"%s/config.json: field \"model_type\" is not \"bert\", and only "
			"BERT-type encoders can be deployed",
			model);
	ret = lf_tokenizer_open(tokenizer, model, error);
	if (ret)
		return ret;
	if (lf_tokenizer_size(*tokenizer) <= config.bert.vocab_size)
		return 0;
	ret = lf_error_set(error, -EINVAL, "%s/vocab.txt: has %zu tokens, config.json says %u",
			   model, lf_tokenizer_size(*tokenizer), config.bert.vocab_size);
	lf_tokenizer_close(*tokenizer);
	return ret;
}
