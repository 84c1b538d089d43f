// SPDX-License-Identifier: MIT
/*
 * libFuzzer: any bytes as text; the first one chooses the limit too. Ids stay below
 * the vocabulary's size and counts below the limit, whatever the text.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <lf/tokenizer.h>

int LLVMFuzzerInitialize(int *argument_count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static struct lf_tokenizer *tokenizer;

/* One small vocabulary for all inputs: with every ASCII character, so that pieces are found. */
int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
	char folder[] = "/tmp/lf-fuzz-XXXXXX", path[64];
	FILE *file;

	(void)argument_count;
	(void)arguments;
	if (!mkdtemp(folder))
		abort();
	snprintf(path, sizeof(path), "%s/vocab.txt", folder);
	file = fopen(path, "w");
	if (!file)
		abort();
	fputs("[PAD]\n[UNK]\n[CLS]\n[SEP]\n\xc3\xa9\n\xe4\xb8\xad\n##\xcc\x81\n", file);
	for (int byte = '!'; byte <= '~'; byte++)
		fprintf(file, "%c\n##%c\n", byte, byte);
	fclose(file);
	if (lf_tokenizer_open(&tokenizer, folder, NULL) < 0)
		abort();
	unlink(path);
	rmdir(folder);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	uint32_t ids[64];
	struct lf_error error;
	size_t limit = size_bytes ? 2 + bytes[0] % 63 : 2;
	size_t count;

	if (lf_tokenizer_encode(tokenizer, (const char *)bytes, size_bytes, limit, ids, &count,
				&error) < 0)
		return 0;
	if (count < 2 || count > limit || ids[0] != 2 || ids[count - 1] != 3)
		abort();
	for (size_t i = 0; i < count; i++) {
		if (!lf_tokenizer_token(tokenizer, ids[i]))
			abort();
	}
	return 0;
}
