// SPDX-License-Identifier: MIT
/* libFuzzer: any bytes as a safetensors file; what opens is looked up and converted as well. */
#include <stdint.h>
#include <stdlib.h>

#include <lf/safetensors.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct lf_safetensors *file;
	struct lf_error error;

	if (lf_safetensors_parse(&file, bytes, size_bytes, "fuzz", &error) < 0)
		return 0;
	lf_safetensors_verify_checksum(file, &error);
	for (size_t i = 0; i < lf_safetensors_count(file); i++) {
		const struct lf_safetensor *tensor = lf_safetensors_at(file, i);
		float *values;

		/* The format allows names that look alike; each must find itself. */
		if (lf_safetensors_find(file, tensor->name) != tensor)
			abort();
		values = calloc(tensor->element_count ? tensor->element_count : 1, sizeof(*values));
		if (values)
			lf_safetensors_read_f32(file, tensor->name, tensor->rank, tensor->shape,
						values, &error);
		free(values);
	}
	lf_safetensors_close(file);
	return 0;
}
