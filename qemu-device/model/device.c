// SPDX-License-Identifier: MIT
/*
 * Attaching to the non-volatile memory and letting go of it, limits, totals. What jobs do is in job.c and execute.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

#define AJ_PER_PJ	1000000
#define COUNTERS_STATE	1

/* What the workspace has at least: more than most commands want, so that it hardly ever grows. Pages come when they are used. */
#define WORKSPACE_BYTES ((size_t)32 << 20)

void xbar_device_parallel(struct xbar *xbar, uint32_t count, void (*work)(void *, uint32_t),
			  void *argument)
{
	if (xbar->ops.parallel && count > 1) {
		xbar->ops.parallel(xbar->opaque, count, work, argument);
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		work(argument, i);
}

bool xbar_device_cancelled(const struct xbar *xbar)
{
	return xbar->ops.cancelled && xbar->ops.cancelled(xbar->opaque);
}

/* At least @bytes, 64-byte aligned, contents undefined; NULL without memory. */
void *xbar_device_workspace(struct xbar *xbar, size_t bytes)
{
	struct workspace *workspace = &xbar->workspace;

	if (bytes > workspace->bytes) {
		free(workspace->memory);
		workspace->bytes = (bytes + 4095) / 4096 * 4096;
		if (workspace->bytes < WORKSPACE_BYTES)
			workspace->bytes = WORKSPACE_BYTES;
		workspace->memory = aligned_alloc(64, workspace->bytes);
		if (!workspace->memory)
			workspace->bytes = 0;
	}
	return workspace->memory;
}

/* Makes the scratch memory, all that a job may want at once; false without memory. Pages come when they are used. */
bool xbar_device_scratch(struct xbar *xbar)
{
	if (!xbar->scratch)
		xbar->scratch =
			aligned_alloc(64, ((size_t)xbar->params.scratch_bytes + 63) / 64 * 64);
	return xbar->scratch;
}

/* The first record with @barrier, else the second; see image.h. */
void xbar_device_store_counters(struct xbar *xbar, bool barrier)
{
	xbar_nv_record_write(&xbar->nv,
			     xbar->layout.counters + (barrier ? 0 : IMAGE_COUNTERS_STRIDE),
			     COUNTERS_STATE, &xbar->counters, sizeof(xbar->counters), barrier);
}

/* The younger of the records; 0 or -EILSEQ. */
static int attach_counters(struct xbar *xbar, char *message)
{
	struct image_counters second;
	uint64_t offset = xbar->layout.counters;
	int state = xbar_nv_record_read(xbar->nv.memory, offset, &xbar->counters,
					sizeof(xbar->counters));

	if (state != 0 && state != COUNTERS_STATE) {
		if (message)
			snprintf(message, XBAR_MESSAGE_BYTES, "counters: wrong checksum");
		return -EILSEQ;
	}
	state = xbar_nv_record_read(xbar->nv.memory, offset + IMAGE_COUNTERS_STRIDE, &second,
				    sizeof(second));
	if (state == COUNTERS_STATE &&
	    (second.jobs > xbar->counters.jobs ||
	     (second.jobs == xbar->counters.jobs && second.time_ns > xbar->counters.time_ns)))
		xbar->counters = second;
	return 0;
}

/* Modelled time ends after 292 years. */
static void pass_time(struct image_counters *counters, uint64_t nanoseconds)
{
	uint64_t left = INT64_MAX - counters->time_ns;

	counters->time_ns += nanoseconds < left ? nanoseconds : left;
}

/* What was done is added to the totals, which stay in memory. */
void xbar_device_add(struct xbar *xbar, const struct tally *tally)
{
	struct image_counters *totals = &xbar->counters;

	for (int i = 0; i < LF_ENERGY_COMPONENTS; i++) {
		unsigned __int128 energy = tally->energy_aj[i] + totals->energy_sub_aj[i];

		totals->energy_pj[i] += (uint64_t)(energy / AJ_PER_PJ);
		totals->energy_sub_aj[i] = (uint64_t)(energy % AJ_PER_PJ);
	}
	totals->busy_ns += tally->busy_ns;
	pass_time(totals, tally->busy_ns);
	totals->mvm_count += tally->mvm_count;
	totals->mac_count += tally->mac_count;
	totals->conversions += tally->conversions;
	totals->clips += tally->clips;
	totals->cells_written += tally->cells_written;
	totals->cells_erased += tally->cells_erased;
	totals->cells_failed += tally->cells_failed;
	totals->verify_retries += tally->verify_retries;
	totals->host_bytes += tally->host_bytes;
}

/* A job has ended: its counters are added to the totals. */
void xbar_device_settle(struct xbar *xbar, const struct tally *tally)
{
	uint64_t before_ns = xbar->counters.time_ns;

	xbar->counters.jobs++;
	xbar_device_add(xbar, tally);
	xbar_device_store_counters(xbar, tally->cells_written || tally->cells_erased);
	xbar_refresh_time_passed(xbar, before_ns);
}

static int attach(struct xbar *xbar, char *message)
{
	const struct matrix *cut = NULL;
	int error = attach_counters(xbar, message);

	if (!error)
		error = xbar_tiles_attach(xbar, message);
	if (!error)
		error = xbar_ledger_attach(xbar, message);
	if (!error)
		error = xbar_directory_attach(xbar, message);
	if (!error)
		error = xbar_spares_attach(xbar, message);
	if (!error)
		error = xbar_refresh_attach(xbar, &cut, message);
	if (!error)
		error = xbar_cells_attach(xbar, cut, message);
	return error;
}

/* All but the magic number, then the magic number: a cut in between leaves a memory that is still new. */
static void format(struct xbar *xbar)
{
	struct xbar_image_header header;

	xbar_image_header(&xbar->params, &header);
	xbar_nv_write(&xbar->nv, sizeof(header.magic), &header.version,
		      sizeof(header) - sizeof(header.magic));
	xbar_nv_persist(&xbar->nv);
	xbar_nv_store(&xbar->nv, 0, header.magic);
	xbar_nv_persist(&xbar->nv);
}

static bool allocate(struct xbar *xbar)
{
	const struct xbar_params *params = &xbar->params;

	xbar->matrices = calloc(params->matrices, sizeof(*xbar->matrices));
	xbar->identifiers = calloc(params->matrices, sizeof(*xbar->identifiers));
	xbar->accounts = calloc(params->accounts, sizeof(*xbar->accounts));
	xbar->tile_wear = calloc(params->tiles, sizeof(*xbar->tile_wear));
	return xbar->matrices && xbar->identifiers && xbar->accounts && xbar->tile_wear;
}

int xbar_create(const struct xbar_params *params, void *memory, uint64_t bytes,
		const struct xbar_ops *ops, void *opaque, char message[XBAR_MESSAGE_BYTES],
		struct xbar **created)
{
	struct xbar *xbar;
	bool fresh;
	int error = xbar_params_check(params, message);

	if (error)
		return error;
	error = xbar_image_check_header(params, memory, bytes, ops && ops->blank, &fresh, message);
	if (error)
		return error;

	xbar = calloc(1, sizeof(*xbar));
	if (!xbar)
		return -ENOMEM;
	xbar->params = *params;
	xbar->temperature_mc = params->temperature_mc;
	xbar_image_layout(params, &xbar->layout);
	if (ops)
		xbar->ops = *ops;
	xbar->opaque = opaque;
	xbar->nv = (struct xbar_nv){
		.memory = memory,
		.persist = xbar->ops.persist,
		.wrote = xbar->ops.wrote,
		.opaque = opaque,
	};
	xbar->slices = xbar_params_slices(params);
	xbar->cells_per_weight = xbar_params_cells(params);
	xbar->tile_weights = xbar_params_weights(params);
	xbar->weight_bytes = xbar_params_weight_bytes(params);
	error = xbar_kernels_choose(params->simd, &xbar->kernels);
	if (error && message)
		snprintf(message, XBAR_MESSAGE_BYTES, "simd: this processor does not have it");
	if (!error)
		error = allocate(xbar) ? attach(xbar, message) : -ENOMEM;
	if (error) {
		xbar_destroy(xbar);
		return error;
	}
	if (fresh)
		format(xbar);
	error = xbar_refresh_recover(xbar);
	if (error) {
		xbar_destroy(xbar);
		return error;
	}
	xbar_directory_recover(xbar);
	xbar_ledger_recover(xbar);
	*created = xbar;
	return 0;
}

void xbar_destroy(struct xbar *xbar)
{
	if (!xbar)
		return;
	if (xbar->nv.low != xbar->nv.high)
		xbar_nv_persist(&xbar->nv);
	xbar_directory_free(xbar);
	free(xbar->accounts);
	free(xbar->tile_wear);
	free(xbar->workspace.memory);
	free(xbar->scratch);
	xbar_job_free(xbar->closed);
	free(xbar);
}

void xbar_limits(const struct xbar *xbar, struct xbar_limits *limits)
{
	const struct xbar_params *params = &xbar->params;

	*limits = (struct xbar_limits){
		.matrices = params->matrices,
		.accounts = params->accounts,
		.tiles = params->tiles,
		.tile_rows = params->tile_rows,
		.tile_cols = params->tile_cols,
		.tile_weights = xbar->tile_weights,
		.cell_bits = params->cell_bits,
		.adc_bits = params->adc_bits,
		.dac_bits = params->dac_bits,
		.formats = 1u << params->format,
		.matrix_rows = params->matrix_rows,
		.matrix_cols = params->matrix_cols,
		.batch = params->batch,
		.commands = params->commands,
		.scratch_bytes = params->scratch_bytes,
		.temperature_max_mc = params->temperature_max_mc,
		.temperature_critical_mc = params->temperature_critical_mc,
	};
	memcpy(limits->preset, params->preset, sizeof(limits->preset));
}

void xbar_telemetry(const struct xbar *xbar, struct lf_telemetry_block *telemetry)
{
	const struct image_counters *totals = &xbar->counters;

	*telemetry = (struct lf_telemetry_block){
		.busy_ns = totals->busy_ns,
		.time_ns = totals->time_ns,
		.jobs = totals->jobs,
		.mvm_count = totals->mvm_count,
		.mac_count = totals->mac_count,
		.conversions = totals->conversions,
		.clips = totals->clips,
		.cells_written = totals->cells_written,
		.cells_erased = totals->cells_erased,
		.verify_retries = totals->verify_retries,
		.host_bytes = totals->host_bytes,
		.temperature_mc = (uint64_t)(int64_t)xbar->temperature_mc,
		.wear_max = xbar->wear_max,
		.tiles_used = xbar->tiles_used,
		.tiles_dirty = xbar->tiles_dirty,
		.tiles_bad = xbar->tiles_bad,
		.cells_failed = totals->cells_failed,
		.cells_stuck = xbar_directory_stuck_cells(xbar),
		.refresh_due = xbar_refresh_count(xbar),
	};
	for (int i = 0; i < LF_ENERGY_COMPONENTS; i++) {
		telemetry->energy_pj[i] = totals->energy_pj[i];
		telemetry->energy_sub_aj[i] = totals->energy_sub_aj[i];
	}
	for (int i = 0; i < 16; i++)
		telemetry->wear_histogram[i] = xbar->wear_histogram[i];
}

void xbar_advance_time(struct xbar *xbar, uint64_t nanoseconds)
{
	uint64_t before_ns = xbar->counters.time_ns;

	pass_time(&xbar->counters, nanoseconds);
	/* Matrices must not get younger by a cut. */
	xbar_device_store_counters(xbar, true);
	xbar_refresh_time_passed(xbar, before_ns);
}
