// SPDX-License-Identifier: MIT
/*
 * libFuzzer: any bytes as each of the files that are read by path. The first byte chooses which;
 * the others of a folder are good ones.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lf/adapter.h>
#include <lf/checkpoint.h>
#include <lf/dataset.h>
#include <lf/model_config.h>
#include <lf/tokenizer.h>

int LLVMFuzzerInitialize(int *argument_count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static char folder[] = "/tmp/lf-fuzz-XXXXXX";

static const char *in_folder(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void write_file(const char *name, const void *bytes, size_t size_bytes)
{
	FILE *file = fopen(in_folder(name), "wb");

	if (!file || fwrite(bytes, 1, size_bytes, file) != size_bytes || fclose(file))
		abort();
}

static void write_good_files(void)
{
	static const char labels[] =
		"[{\"label\":\"a\",\"text\":\"a\"},{\"label\":\"b\",\"text\":\"b\"}]";
	static const float values[6] = { 1, 2, 3, 4, 5, 6 };
	static const char *const targets[] = { "query" };
	const struct lf_adapter_description description = { .base_model = "base",
							    .target_modules = targets,
							    .target_count = 1,
							    .rank = 2,
							    .alpha = 4,
							    .dtype = LF_DTYPE_F32 };
	const struct lf_adapter_layer layer = {
		.path = "query", .inputs = 2, .outputs = 3, .rank = 2, .a = values, .b = values
	};

	write_file("labels.json", labels, sizeof(labels) - 1);
	if (lf_adapter_write(folder, &description, &layer, 1, NULL) < 0)
		abort();
}

static void read_adapter(void)
{
	const struct lf_adapter_slot slot = { "query", 2, 3, false };
	struct lf_adapter *adapter = NULL;
	struct lf_error error;

	lf_adapter_read(&adapter, folder, &slot, 1, 0, &error);
	lf_adapter_free(adapter);
}

static void read_dataset(void)
{
	struct lf_label_set *labels = NULL;
	struct lf_dataset *dataset = NULL;
	struct lf_error error;

	if (lf_label_set_read(&labels, in_folder("labels.json"), &error) == 0)
		lf_dataset_read(&dataset, in_folder("data.jsonl"), labels, &error);
	lf_dataset_free(dataset);
	lf_label_set_free(labels);
}

static void read_model_config(void)
{
	struct lf_model_config config;
	struct lf_error error;

	lf_model_config_read(&config, folder, &error);
}

static void read_checkpoint(void)
{
	struct lf_checkpoint *checkpoint = NULL;
	struct lf_error error;

	lf_checkpoint_open(&checkpoint, in_folder("checkpoint"), &error);
	lf_checkpoint_close(checkpoint);
}

static void read_vocabulary(void)
{
	struct lf_tokenizer *tokenizer = NULL;
	struct lf_error error;

	lf_tokenizer_open(&tokenizer, folder, &error);
	lf_tokenizer_close(tokenizer);
}

/* Files that readers need beside the one that is fuzzed are put back from a copy. */
static struct input {
	const char *name;
	void (*read)(void);
	char good[4096];
	size_t good_bytes;
} inputs[] = {
	{ .name = "adapter_config.json", .read = read_adapter },
	{ .name = "adapter_model.safetensors", .read = read_adapter },
	{ .name = "labels.json", .read = read_dataset },
	{ .name = "data.jsonl", .read = read_dataset },
	{ .name = "config.json", .read = read_model_config },
	{ .name = "checkpoint", .read = read_checkpoint },
	{ .name = "vocab.txt", .read = read_vocabulary },
};
#define INPUT_COUNT (sizeof(inputs) / sizeof(inputs[0]))

static void keep_good_file(struct input *input)
{
	FILE *file = fopen(in_folder(input->name), "rb");

	if (!file)
		return;
	input->good_bytes = fread(input->good, 1, sizeof(input->good), file);
	fclose(file);
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
	(void)argument_count;
	(void)arguments;
	if (!mkdtemp(folder))
		abort();
	write_good_files();
	for (size_t i = 0; i < INPUT_COUNT; i++)
		keep_good_file(&inputs[i]);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	const struct input *input;

	if (size_bytes == 0)
		return -1;
	input = &inputs[bytes[0] % INPUT_COUNT];
	write_file(input->name, bytes + 1, size_bytes - 1);
	input->read();
	if (input->good_bytes)
		write_file(input->name, input->good, input->good_bytes);
	return 0;
}
