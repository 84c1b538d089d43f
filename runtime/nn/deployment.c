// SPDX-License-Identifier: MIT
/* Deployments; see deployment.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/nn/deployment.h"

struct lf_deployment_entry {
	char name[LF_NAME_BYTES];
	struct lf_weight weight;
	struct lf_matrix *matrix;
	bool published;
};

int lf_deployment_add(struct lf_deployment *deployment, const char *name, struct lf_weight *weight,
		      struct lf_error *error)
{
	struct lf_deployment_entry *entry;

	if (deployment->count == deployment->capacity) {
		uint32_t capacity = deployment->capacity ? 2 * deployment->capacity : 64;

		entry = realloc(deployment->entries, capacity * sizeof(*entry));
		if (!entry) {
			lf_weight_release(weight);
			return lf_error_set(error, -ENOMEM, "no memory for %s", name);
		}
		deployment->entries = entry;
		deployment->capacity = capacity;
	}
	entry = &deployment->entries[deployment->count++];
	*entry = (struct lf_deployment_entry){ .weight = *weight };
	strncpy(entry->name, name, sizeof(entry->name) - 1);
	*weight = (struct lf_weight){ 0 };
	return 0;
}

void lf_deployment_release(struct lf_deployment *deployment)
{
	for (uint32_t at = 0; at < deployment->count; at++)
		lf_weight_release(&deployment->entries[at].weight);
	free(deployment->entries);
	*deployment = (struct lf_deployment){ 0 };
}

static int check_free(struct lf_device *device, const char *name, struct lf_error *error)
{
	struct lf_matrix *matrix = NULL;
	int ret = lf_matrix_open(device, name, &matrix, error);

	if (ret == -ENOENT)
		return 0;
	if (ret && ret != -EACCES)
		return ret;
	lf_matrix_close(matrix);
	return lf_error_set(error, -EEXIST, "matrix \"%s\": the name is taken on this device",
			    name);
}

/* Gives every matrix its tiles. */
static int reserve(struct lf_deployment *deployment, struct lf_device *device,
		   struct lf_error *error)
{
	int ret = 0;

	for (uint32_t at = 0; !ret && at < deployment->count; at++)
		ret = check_free(device, deployment->entries[at].name, error);
	for (uint32_t at = 0; !ret && at < deployment->count; at++) {
		struct lf_deployment_entry *entry = &deployment->entries[at];

		ret = lf_matrix_create(device, entry->weight.rows, entry->weight.cols,
				       entry->weight.format, &entry->matrix, error);
		if (ret)
			lf_error_prefix(error, ret, "%s, %u of %u matrices", entry->name, at + 1,
					deployment->count);
	}
	return ret;
}

static int program(struct lf_deployment_entry *entry, const struct lf_deployment_target *target,
		   struct lf_error *error)
{
	int ret = lf_matrix_program(entry->matrix, 0, entry->weight.rows, entry->weight.cells,
				    target->counters, error);

	if (!ret)
		ret = lf_matrix_commit(entry->matrix, error);
	if (!ret)
		ret = lf_matrix_publish(entry->matrix, entry->name, target->mode, error);
	entry->published = !ret;
	return ret ? lf_error_prefix(error, ret, "%s", entry->name) : 0;
}

int lf_deployment_run(struct lf_deployment *deployment, const struct lf_deployment_target *target,
		      struct lf_error *error)
{
	int ret;

	if (target->mode & ~0444u)
		return lf_error_set(error, -EINVAL, "mode 0%o has bits beyond 0444", target->mode);
	ret = reserve(deployment, target->device, error);
	for (uint32_t at = 0; !ret && at < deployment->count; at++) {
		ret = program(&deployment->entries[at], target, error);
		if (!ret && target->progress)
			target->progress(target->argument, at + 1, deployment->count);
	}
	for (uint32_t at = 0; at < deployment->count; at++) {
		struct lf_deployment_entry *entry = &deployment->entries[at];

		if (ret && entry->published)
			lf_matrix_unlink(target->device, entry->name, NULL);
		lf_matrix_close(entry->matrix);
		entry->matrix = NULL;
		entry->published = false;
	}
	return ret;
}
