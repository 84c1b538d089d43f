/* SPDX-License-Identifier: MIT */
/*
 * What is behind the opaque types of lf/device.h, lf/matrix.h and lf/job.h, and the table of
 * functions by which a device is reached. device.c, matrix.c and job.c hold what all devices share;
 * drm*.c and inproc*.c each fill a table.
 */
#ifndef LF_DEVICE_BACKEND_H
#define LF_DEVICE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lf/device.h>
#include <lf/error.h>
#include <lf/job.h>
#include <lf/lf_hw.h>
#include <lf/matrix.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "descriptors and records are little-endian and used in place");

/**
 * struct lf_backend - a way to reach a device
 * @close: free the device
 * @counters: sum over the jobs of this opened device
 * @telemetry: totals of the device
 * @quota: as lf_device_quota(), @quota not NULL
 * @advance: as lf_device_advance(), NULL where it cannot be done
 * @set_temperature: as lf_device_set_temperature(), likewise
 * @events: as lf_device_events(), likewise
 * @buffer_create: fill @data, @bytes (rounded up) and @handle of a zeroed buffer
 * @buffer_destroy: undo it
 * @matrix_create: fill @handle
 * @matrix_open: fill @handle; @name is well-formed
 * @matrix_close: drop the handle
 * @matrix_commit: as lf_matrix_commit()
 * @matrix_publish: as lf_matrix_publish(); @name is well-formed
 * @matrix_unlink: as lf_matrix_unlink(); @name is well-formed
 * @matrix_refresh: as lf_matrix_refresh(), @cells_written not NULL
 * @matrix_info: as lf_matrix_info()
 * @matrix_list: write entries from directory index *@first on, at most @count; *@first becomes
 *	where to go on, 0 at the end. Return: entries written or an error
 * @job_create: allocate the object that begins with a struct lf_job, zeroed
 * @job_destroy: free it; it is not in flight and its arrays are gone
 * @job_submit: queue it
 * @job_wait: wait until it has ended and fill its result. Return: 0, whatever the status; -ETIME;
 *	or an error that the status does not tell
 *
 * All but @job_wait and @counters fill @error on failure and return its code.
 */
struct lf_backend {
	void (*close)(struct lf_device *device);
	int (*counters)(struct lf_device *device, struct lf_counters *counters,
			struct lf_error *error);
	int (*telemetry)(struct lf_device *device, struct lf_telemetry *telemetry,
			 struct lf_error *error);
	int (*quota)(struct lf_device *device, uint32_t account, const uint64_t *new_quota_cells,
		     struct lf_account *quota, struct lf_error *error);
	void (*advance)(struct lf_device *device, uint64_t nanoseconds);
	void (*set_temperature)(struct lf_device *device, int32_t temperature_mc);
	uint32_t (*events)(struct lf_device *device);
	int (*buffer_create)(struct lf_buffer *buffer, struct lf_error *error);
	void (*buffer_destroy)(struct lf_buffer *buffer);
	int (*matrix_create)(struct lf_matrix *matrix, struct lf_error *error);
	int (*matrix_open)(struct lf_matrix *matrix, const char *name, struct lf_error *error);
	void (*matrix_close)(struct lf_matrix *matrix);
	int (*matrix_commit)(struct lf_matrix *matrix, struct lf_error *error);
	int (*matrix_publish)(struct lf_matrix *matrix, const char *name, uint32_t mode,
			      struct lf_error *error);
	int (*matrix_unlink)(struct lf_device *device, const char *name, struct lf_error *error);
	int (*matrix_refresh)(struct lf_matrix *matrix, uint64_t *cells_written,
			      struct lf_error *error);
	int (*matrix_info)(const struct lf_matrix *matrix, struct lf_matrix_info *info,
			   struct lf_error *error);
	int (*matrix_list)(struct lf_device *device, struct lf_matrix_info *entries, uint32_t count,
			   uint32_t *first, struct lf_error *error);
	int (*job_create)(struct lf_device *device, struct lf_job **job, struct lf_error *error);
	void (*job_destroy)(struct lf_job *job);
	int (*job_submit)(struct lf_job *job, struct lf_error *error);
	int (*job_wait)(struct lf_job *job, int64_t timeout_ns, struct lf_error *error);
};

/** struct lf_device - the common part; the device's own struct begins with it */
struct lf_device {
	const struct lf_backend *backend;
	struct lf_device_info info;
};

struct lf_buffer {
	struct lf_device *device;
	void *data;
	size_t bytes;
	uint32_t handle;
};

/**
 * struct lf_matrix - a handle
 * @device: where it is
 * @handle: the device's number of it
 * @rows: logical rows
 * @cols: logical columns
 * @format: LF_FORMAT_*
 * @tile_rows: rows of tiles
 * @weight_cells: cells of one weight
 * @committed: may be multiplied with, no longer be programmed
 */
struct lf_matrix {
	struct lf_device *device;
	uint32_t handle;
	uint32_t rows;
	uint32_t cols;
	uint32_t format;
	uint32_t tile_rows;
	uint32_t weight_cells;
	bool committed;
};

/**
 * struct lf_job - the common part; the device's own struct begins with it
 * @device: where it runs
 * @commands: array of @command_capacity; @matrix of a command is an index into @matrices plus one
 * @buffers: array of @buffer_capacity, each buffer once
 * @matrices: handles, array of @matrix_capacity, each matrix once
 * @command_count: used part of @commands
 * @command_capacity: its length
 * @buffer_count: used part of @buffers
 * @buffer_capacity: its length
 * @matrix_count: used part of @matrices
 * @matrix_capacity: its length
 * @scratch_bytes: what was set aside
 * @job_number: key of random draws
 * @in_flight: submitted and not yet waited for
 * @mistake: the first mistake since lf_job_begin(), code 0 if none
 * @result: of the last run
 */
struct lf_job {
	struct lf_device *device;
	struct lf_command *commands;
	struct lf_buffer **buffers;
	uint32_t *matrices;
	uint32_t command_count;
	uint32_t command_capacity;
	uint32_t buffer_count;
	uint32_t buffer_capacity;
	uint32_t matrix_count;
	uint32_t matrix_capacity;
	uint64_t scratch_bytes;
	uint64_t job_number;
	bool in_flight;
	struct lf_error mistake;
	struct lf_job_result result;
};

/** lf_drm_open() - open a node; @path is its path */
int lf_drm_open(const char *path, struct lf_device **device, struct lf_error *error);

/** lf_drm_find() - path of the first node of the driver, false if there is none */
bool lf_drm_find(char *path, size_t path_bytes);

/** lf_inproc_open() - make a device from "inproc[:preset][,key=value...]" */
int lf_inproc_open(const char *specification, struct lf_device **device, struct lf_error *error);

#endif
