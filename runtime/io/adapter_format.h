/* SPDX-License-Identifier: MIT */
/* Names in a PEFT adapter that its reader and its writer share. */
#ifndef LF_IO_ADAPTER_FORMAT_H
#define LF_IO_ADAPTER_FORMAT_H

#include <lf/adapter.h>

#define LF_ADAPTER_CONFIG_FILE	 "adapter_config.json"
#define LF_ADAPTER_TENSORS_FILE	 "adapter_model.safetensors"

#define LF_ADAPTER_KEY_PREFIX	 "base_model.model."
#define LF_ADAPTER_KEY_A	 ".lora_A.weight"
#define LF_ADAPTER_KEY_B	 ".lora_B.weight"
#define LF_ADAPTER_KEY_MAGNITUDE ".lora_magnitude_vector"

/* A path up to LF_ADAPTER_MAX_PATH_BYTES with all of the above around it, and a terminator. */
#define LF_ADAPTER_KEY_BYTES	 (LF_ADAPTER_MAX_PATH_BYTES + 64)

/* The name of one of a layer's tensors. */
void lf_adapter_key(char key[LF_ADAPTER_KEY_BYTES], const char *layer, const char *suffix);

#endif
