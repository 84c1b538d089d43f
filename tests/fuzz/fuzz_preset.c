// SPDX-License-Identifier: MIT
/*
 * libFuzzer: any bytes as a preset file and as a file of measurements. The first byte chooses which. What a preset file makes must
 * come through its own text again, and fitting must end, whatever was measured.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lf/preset.h>

#include "qemu-device/model/params.h"

int LLVMFuzzerInitialize(int *argument_count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

static char path[] = "/tmp/lf-fuzz-XXXXXX";

/* Every value as text, set again, leaves the parameters as they are. */
static void there_and_back(struct xbar_params *params)
{
	struct xbar_params before = *params;
	char value[XBAR_MESSAGE_BYTES];
	const char *key, *unit, *help;

	/* The oracle holds what it cannot be told. */
	if (params->format == LF_FORMAT_FP32)
		return;
	for (uint32_t i = 0; !xbar_params_describe(i, &key, &unit, &help); i++)
		if (xbar_params_get(params, key, value) ||
		    xbar_params_set(params, key, value, NULL))
			abort();
	if (memcmp(&before, params, sizeof(before)))
		abort();
}

static void read_preset(const uint8_t *bytes, size_t size_bytes)
{
	char message[XBAR_MESSAGE_BYTES] = "";
	struct xbar_params *params;

	if (xbar_params_parse((const char *)bytes, size_bytes, message, &params)) {
		if (strncmp(message, "line ", 5))
			abort();
		return;
	}
	there_and_back(params);
	xbar_params_check(params, message);
	xbar_params_free(params);
}

static void read_measurements(const uint8_t *bytes, size_t size_bytes)
{
	const struct lf_fit_range range = { 0 };
	struct lf_measurements measurements;
	FILE *file = fopen(path, "wb");
	struct lf_preset *preset;
	struct lf_error error;
	struct lf_fit fit;

	if (!file || fwrite(bytes, 1, size_bytes, file) != size_bytes || fclose(file))
		abort();
	if (lf_measurements_read(&measurements, path, &error))
		return;
	if (lf_preset_open(&preset, "isaac", &error))
		abort();
	if (!lf_preset_fit(preset, &measurements, &range, &fit, &error) &&
	    lf_preset_check(preset, &error))
		abort();
	lf_preset_close(preset);
	lf_measurements_free(&measurements);
}

int LLVMFuzzerInitialize(int *argument_count, char ***arguments)
{
	int descriptor = mkstemp(path);

	(void)argument_count;
	(void)arguments;
	if (descriptor < 0)
		abort();
	close(descriptor);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	if (size_bytes == 0)
		return -1;
	if (bytes[0] & 1)
		read_measurements(bytes + 1, size_bytes - 1);
	else
		read_preset(bytes + 1, size_bytes - 1);
	return 0;
}
