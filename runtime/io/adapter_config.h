/* SPDX-License-Identifier: MIT */
/* adapter_config.json of a PEFT adapter: what it says about each layer, and the writing of one. */
#ifndef LF_IO_ADAPTER_CONFIG_H
#define LF_IO_ADAPTER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <lf/adapter.h>

struct lf_adapter_config {
	json_t *root;
	uint32_t rank;
	double alpha;
	bool use_rslora;
	bool use_dora;
};

/* Read and check all of it. On success the caller frees it; on failure there is nothing to free. */
int lf_adapter_config_read(struct lf_adapter_config *config, const char *path,
			   struct lf_error *error);
void lf_adapter_config_free(struct lf_adapter_config *config);

/* Rank and scale of a layer, its patterns applied. */
int lf_adapter_config_layer(const struct lf_adapter_config *config, const char *layer,
			    uint32_t *rank, float *scale, const char *path, struct lf_error *error);

/* PEFT's rule of names: is this the whole path of the layer, or its last parts? */
bool lf_adapter_names_layer(const char *name, const char *layer);

/* True when target_modules lists a layer, so that the adapter must have it. */
bool lf_adapter_config_targets(const struct lf_adapter_config *config, const char *layer);

/* The text of a new one; the caller frees it. NULL without memory. */
char *lf_adapter_config_format(const struct lf_adapter_description *description, bool use_dora);

#endif
