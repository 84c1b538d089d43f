/* SPDX-License-Identifier: MIT */
/* What is shown of matrices, and which of them a name means. */
#ifndef LFCTL_MATRIX_LIST_H
#define LFCTL_MATRIX_LIST_H

#include <stdbool.h>

#include <jansson.h>

#include <lf/matrix.h>

/**
 * struct device_clock - modelled time of a device, as far as the caller may know it
 * @known: it may
 * @time_ns: now
 */
struct device_clock {
	bool known;
	uint64_t time_ns;
};

/** device_clock() - ask; that of an accelerator is for the privileged */
struct device_clock device_clock(struct lf_device *device);

/** matrix_is_due() - whether its retention asks for a refresh */
bool matrix_is_due(const struct lf_matrix_info *info, const struct device_clock *clock);

/** matrix_is_meant() - whether @wanted is the name, or ends in / and the name lies below it */
bool matrix_is_meant(const char *wanted, const char *name);

/** matrix_row_json() - a row of a list */
json_t *matrix_row_json(const struct lf_matrix_info *info, const struct device_clock *clock);

/** matrix_details_json() - all there is to know */
json_t *matrix_details_json(const struct lf_matrix_info *info, const struct device_clock *clock);

#endif
