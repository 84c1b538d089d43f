/* SPDX-License-Identifier: MIT */
/* A device of the model on memory of its own, and jobs on it, for the tests of the model. */
#ifndef TESTS_UNIT_XBAR_RIG_H
#define TESTS_UNIT_XBAR_RIG_H

#include <stdatomic.h>
#include <stdint.h>

#include "qemu-device/model/analog.h"
#include "qemu-device/model/physics.h"
#include "qemu-device/model/xbar.h"

/*
 * A device; @threads > 1 runs the pieces of its jobs on as many threads, backwards. A job is cancelled when it asks for the
 * @patience-th time, counted from 1; 0 is never. @asked counts on from job to job.
 */
struct rig {
	struct xbar_params *params;
	struct xbar *xbar;
	uint8_t *memory;
	uint64_t bytes;
	uint32_t threads;
	uint32_t patience;
	atomic_uint asked;
	uint32_t account;
	bool privileged;
	uint32_t scratch_bytes;
	struct lf_completion completion;
};

struct buffer {
	void *memory;
	uint64_t bytes;
};

/** rig_set() - set one parameter */
void rig_set(struct xbar_params *params, const char *key, const char *value);

/** rig_params() - parameters of a preset, changed by "key=value,key=value", which may be empty; for xbar_params_free() */
struct xbar_params *rig_params(const char *preset, const char *settings);

/** rig_open() - a new device; @settings is "key=value,key=value", may be empty */
void rig_open(struct rig *rig, const char *preset, const char *settings);

/** rig_attach() - destroy the device and create one on the same memory; 0 or what xbar_create() returned */
int rig_attach(struct rig *rig);

void rig_close(struct rig *rig);

/** rig_run() - open, run and close a job of any queue; the status, rig->completion has the record */
uint16_t rig_run(struct rig *rig, const struct lf_command *commands, uint32_t command_count,
		 const struct buffer *buffers, uint32_t buffer_count);

/** rig_run_queue() - the same on a work queue, where @management is false */
uint16_t rig_run_queue(struct rig *rig, const struct lf_command *commands, uint32_t command_count,
		       const struct buffer *buffers, uint32_t buffer_count, bool management);

uint32_t rig_create_matrix(struct rig *rig, uint32_t rows, uint32_t cols);

/** rig_program() - all rows of an int8 or fp32 matrix of @cols columns; the status */
uint16_t rig_program(struct rig *rig, uint32_t matrix, uint32_t rows, uint32_t cols, void *weights);

uint16_t rig_commit(struct rig *rig, uint32_t matrix);
uint16_t rig_delete(struct rig *rig, uint32_t matrix);

/** rig_matrix() - create, program and commit; the identifier */
uint32_t rig_matrix(struct rig *rig, uint32_t rows, uint32_t cols, void *weights);

/** rig_publish() - give a matrix a name; the status */
uint16_t rig_publish(struct rig *rig, uint32_t matrix, const char *name);

/** rig_list() - entries of the directory, most @count; how many there are */
uint32_t rig_list(struct rig *rig, struct lf_matrix_info *info, uint32_t count);

/** rig_account() - account @number */
struct lf_account rig_account(struct rig *rig, uint32_t number);

/** rig_set_quota() - what account @number may write; the status */
uint16_t rig_set_quota(struct rig *rig, uint32_t number, uint64_t cells);

struct lf_telemetry_block rig_telemetry(const struct rig *rig);

/** rig_place() - cell @index of isaac's tiles: 128 rows, 16 columns of weights, 2 sides, 4 slices, then tiles */
struct place rig_place(uint32_t index);

/** rig_cell() - the cell that was told to hold @level, by itself */
void rig_cell(const struct xbar_params *params, const struct place *place,
	      const struct history *history, uint32_t level, struct cell *cell);

/** rig_stuck() - LF_CELL_STUCK_ON, _STUCK_OFF and _WORN of a cell; 0 for a good one */
uint16_t rig_stuck(const struct xbar_params *params, const struct place *place,
		   const struct history *history);

/** rig_conductance() - cell @row of column @column of cells of a plane, in its units */
uint16_t rig_conductance(const struct analog *analog, size_t column, uint32_t row);

/** rig_seed() - the seed of this run: LF_TEST_SEED or a fixed one */
uint64_t rig_seed(void);

/* Numbers that follow from a seed. */
uint32_t draw(uint64_t *state);
uint32_t draw_below(uint64_t *state, uint32_t limit);
float draw_float(uint64_t *state);

/** draw_weights() - @count weights of all levels */
void draw_weights(int8_t *weights, size_t count, uint64_t seed);

#endif
