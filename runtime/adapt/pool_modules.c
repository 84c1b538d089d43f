// SPDX-License-Identifier: MIT
/* Which modules make a pool: candidates by name, the first ones or drawn by seed. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lf/pool.h>

#include "runtime/adapt/random.h"

static int by_name(const struct dirent **a, const struct dirent **b)
{
	/* strcmp, not the locale's order: the same pool everywhere. */
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* The module in @entry of @directory, NULL if it is none. */
static char *candidate(const char *directory, const char *entry)
{
	char config[1024];
	char *path;

	if ((size_t)snprintf(config, sizeof(config), "%s/%s/adapter_config.json", directory,
			     entry) >= sizeof(config) ||
	    access(config, R_OK))
		return NULL;
	path = strdup(config);
	if (path)
		*strrchr(path, '/') = '\0';
	return path;
}

/* Moves a drawn choice of @count modules to the front, in an order of its own (Fisher and Yates). */
static void draw(struct lf_pool_modules *modules, uint32_t count, uint64_t seed)
{
	struct lf_random random;

	lf_random_seed(&random, seed, LF_RANDOM_POOL, 0);
	for (uint32_t at = 0; at < count; at++) {
		uint32_t other = at + lf_random_below(&random, modules->count - at);
		char *chosen = modules->directories[other];

		modules->directories[other] = modules->directories[at];
		modules->directories[at] = chosen;
	}
}

int lf_pool_modules_find(const char *directory, uint32_t count, uint64_t seed,
			 struct lf_pool_modules *modules, struct lf_error *error)
{
	struct dirent **entries;
	int found = scandir(directory, &entries, visible, by_name);
	int ret = 0;

	*modules = (struct lf_pool_modules){ 0 };
	if (found < 0)
		return lf_error_set(error, -errno, "pool %s: %s", directory, strerror(errno));
	modules->directories = calloc((size_t)found + 1, sizeof(*modules->directories));
	for (int at = 0; at < found; at++) {
		char *path =
			modules->directories ? candidate(directory, entries[at]->d_name) : NULL;

		if (path)
			modules->directories[modules->count++] = path;
		free(entries[at]);
	}
	free(entries);
	if (!modules->directories)
		ret = lf_error_set(error, -ENOMEM, "pool %s: no memory", directory);
	else if (!modules->count)
		ret = lf_error_set(error, -EINVAL, "pool %s: no PEFT adapter in it", directory);
	else if (count > modules->count || count > LF_POOL_MODULES)
		ret = lf_error_set(error, -EINVAL, "pool %s: %u modules wanted, %u found",
				   directory, count, modules->count);
	if (ret) {
		lf_pool_modules_release(modules);
		return ret;
	}
	if (!count)
		count = modules->count < LF_POOL_MODULES ? modules->count : LF_POOL_MODULES;
	if (seed)
		draw(modules, count, seed);
	while (modules->count > count)
		free(modules->directories[--modules->count]);
	return 0;
}

void lf_pool_modules_release(struct lf_pool_modules *modules)
{
	for (uint32_t at = 0; at < modules->count; at++)
		free(modules->directories[at]);
	free(modules->directories);
	*modules = (struct lf_pool_modules){ 0 };
}
