/* SPDX-License-Identifier: MIT */
/* The modules of a pool as their files hold them, read and held against each other: what is deployed, and what is folded. */
#ifndef LF_RUNTIME_ADAPT_MODULE_SET_H
#define LF_RUNTIME_ADAPT_MODULE_SET_H

#include <lf/adapter.h>
#include <lf/pool.h>

/**
 * struct lf_module_set - modules that adapt the same layers with the same rank
 * @adapters: [@count]
 * @count: N
 * @rank: r
 * @site_count: adapted layers
 * @sites: [@site_count] their indices in the model, in its order
 * @checksum: CRC-32C of the matrices and scales in their order
 */
struct lf_module_set {
	struct lf_adapter **adapters;
	uint32_t count;
	uint32_t rank;
	uint32_t site_count;
	uint32_t *sites;
	uint32_t checksum;
};

/**
 * lf_module_set_read() - read modules and check that they fit the model and each other
 * @set: receives them; release with lf_module_set_release(), not on failure
 * @config: shapes of the model
 * @modules: where they are
 * @error: names the module and the layer
 *
 * Return: 0, -EINVAL, -ENOTSUP (DoRA), -ENOMEM, what lf_adapter_read() fails with.
 */
int lf_module_set_read(struct lf_module_set *set, const struct lf_bert_config *config,
		       const struct lf_pool_modules *modules, struct lf_error *error);

/** lf_module_set_release() - free what lf_module_set_read() made */
void lf_module_set_release(struct lf_module_set *set);

/** lf_module_set_a() - the modules' A of site @site one below the other, [N r][inputs]; to be freed, NULL without memory */
float *lf_module_set_a(const struct lf_module_set *set, uint32_t site);

/** lf_module_set_b() - the modules' B side by side, each times its scale, [outputs][N r]; to be freed, NULL without memory */
float *lf_module_set_b(const struct lf_module_set *set, uint32_t site);

#endif
