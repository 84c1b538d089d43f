// SPDX-License-Identifier: MIT
/* Devices, jobs and random numbers for the tests of the model. */
#include "tests/unit/xbar_rig.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 8

struct round {
	void (*work)(void *, uint32_t);
	void *argument;
	atomic_int left;
};

static void *take_pieces(void *argument)
{
	struct round *round = argument;
	int index;

	while ((index = atomic_fetch_sub(&round->left, 1) - 1) >= 0)
		round->work(round->argument, (uint32_t)index);
	return NULL;
}

static void parallel(void *opaque, uint32_t count, void (*work)(void *, uint32_t), void *argument)
{
	const struct rig *rig = opaque;
	struct round round = { .work = work, .argument = argument };
	pthread_t threads[THREADS_MAX];
	uint32_t extra = rig->threads > 1 ? rig->threads - 1 : 0;

	atomic_init(&round.left, (int)count);
	for (uint32_t i = 0; i < extra; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_pieces, &round), 0);
	take_pieces(&round);
	for (uint32_t i = 0; i < extra; i++)
		pthread_join(threads[i], NULL);
}

static bool cancelled(void *opaque)
{
	struct rig *rig = opaque;
	unsigned int asked = atomic_fetch_add(&rig->asked, 1) + 1;

	return rig->patience && asked >= rig->patience;
}

int rig_attach(struct rig *rig)
{
	const struct xbar_ops ops = { .parallel = parallel, .cancelled = cancelled };
	char message[XBAR_MESSAGE_BYTES] = "";
	int error;

	xbar_destroy(rig->xbar);
	rig->xbar = NULL;
	error = xbar_create(rig->params, rig->memory, rig->bytes, &ops, rig, message, &rig->xbar);
	ck_assert_msg(!error == !message[0], "error %d with message '%s'", error, message);
	return error;
}

void rig_set(struct xbar_params *params, const char *key, const char *value)
{
	char message[XBAR_MESSAGE_BYTES] = "";

	ck_assert_msg(xbar_params_set(params, key, value, message) == 0, "%s", message);
}

struct xbar_params *rig_params(const char *preset, const char *settings)
{
	struct xbar_params *params;
	char text[512], *next = NULL;

	ck_assert_msg(xbar_params_create(preset, &params) == 0, "%s", preset);
	ck_assert_uint_lt(strlen(settings), sizeof(text));
	strcpy(text, settings);
	for (char *key = strtok_r(text, ",", &next); key; key = strtok_r(NULL, ",", &next)) {
		char *value = strchr(key, '=');

		*value++ = '\0';
		rig_set(params, key, value);
	}
	return params;
}

void rig_open(struct rig *rig, const char *preset, const char *settings)
{
	*rig = (struct rig){ .threads = 1, .params = rig_params(preset, settings) };
	rig->bytes = xbar_nonvolatile_bytes(rig->params);
	rig->memory = aligned_alloc(4096, rig->bytes);
	ck_assert_ptr_nonnull(rig->memory);
	memset(rig->memory, 0, rig->bytes);
	ck_assert_int_eq(rig_attach(rig), 0);
}

void rig_close(struct rig *rig)
{
	xbar_destroy(rig->xbar);
	xbar_params_free(rig->params);
	free(rig->memory);
}

uint16_t rig_run_queue(struct rig *rig, const struct lf_command *commands, uint32_t command_count,
		       const struct buffer *buffers, uint32_t buffer_count, bool management)
{
	uint64_t bytes[16];
	struct xbar_request request = {
		.commands = commands,
		.command_count = command_count,
		.buffer_bytes = bytes,
		.buffer_count = buffer_count,
		.scratch_bytes = rig->scratch_bytes,
		.account = rig->account,
		.privileged = rig->privileged,
		.management = management,
	};
	struct xbar_transfer *transfers;
	struct xbar_job *job = NULL;
	uint32_t count;
	int error;

	ck_assert_uint_le(buffer_count, 16);
	for (uint32_t i = 0; i < buffer_count; i++)
		bytes[i] = buffers[i].bytes;
	error = xbar_job_open(rig->xbar, &request, &rig->completion, &job);
	if (error) {
		ck_assert_int_eq(error, -22);
		ck_assert_uint_ne(rig->completion.status, LF_STATUS_OK);
		return rig->completion.status;
	}
	transfers = xbar_job_transfers(job, &count);
	for (uint32_t i = 0; i < count; i++) {
		const struct buffer *buffer = &buffers[transfers[i].buffer];

		transfers[i].memory = (char *)buffer->memory + transfers[i].offset;
		transfers[i].memory_stride = transfers[i].stride;
	}
	xbar_job_run(job, &rig->completion);
	xbar_job_close(job);
	return rig->completion.status;
}

uint16_t rig_run(struct rig *rig, const struct lf_command *commands, uint32_t command_count,
		 const struct buffer *buffers, uint32_t buffer_count)
{
	return rig_run_queue(rig, commands, command_count, buffers, buffer_count, true);
}

static uint32_t format_of(const struct rig *rig)
{
	struct xbar_limits limits;

	xbar_limits(rig->xbar, &limits);
	return limits.formats == 1u << LF_FORMAT_FP32 ? LF_FORMAT_FP32 : LF_FORMAT_INT8;
}

uint32_t rig_create_matrix(struct rig *rig, uint32_t rows, uint32_t cols)
{
	struct lf_command command = {
		.opcode = LF_OP_CREATE,
		.first = rows,
		.width = cols,
		.rank = format_of(rig),
	};

	return rig_run(rig, &command, 1, NULL, 0) ? 0 : (uint32_t)rig->completion.result;
}

uint16_t rig_program(struct rig *rig, uint32_t matrix, uint32_t rows, uint32_t cols, void *weights)
{
	uint32_t row_bytes = cols * (format_of(rig) == LF_FORMAT_FP32 ? 4 : 1);
	struct buffer buffer = { weights, (uint64_t)rows * row_bytes };
	struct lf_command command = {
		.opcode = LF_OP_PROGRAM,
		.matrix = matrix,
		.count = rows,
		.input = { .space = LF_SPACE_BUFFER, .stride = row_bytes },
	};

	return rig_run(rig, &command, 1, &buffer, 1);
}

uint16_t rig_commit(struct rig *rig, uint32_t matrix)
{
	struct lf_command command = { .opcode = LF_OP_COMMIT, .matrix = matrix };

	return rig_run(rig, &command, 1, NULL, 0);
}

uint16_t rig_delete(struct rig *rig, uint32_t matrix)
{
	struct lf_command command = { .opcode = LF_OP_DELETE, .matrix = matrix };

	return rig_run(rig, &command, 1, NULL, 0);
}

uint32_t rig_matrix(struct rig *rig, uint32_t rows, uint32_t cols, void *weights)
{
	uint32_t matrix = rig_create_matrix(rig, rows, cols);

	ck_assert_uint_ne(matrix, 0);
	ck_assert_uint_eq(rig_program(rig, matrix, rows, cols, weights), LF_STATUS_OK);
	ck_assert_uint_eq(rig_commit(rig, matrix), LF_STATUS_OK);
	return matrix;
}

uint16_t rig_publish(struct rig *rig, uint32_t matrix, const char *name)
{
	struct lf_publication publication = { .owner = 1000, .group = 100, .mode = 0444 };
	struct buffer buffer = { &publication, sizeof(publication) };
	struct lf_command command = {
		.opcode = LF_OP_PUBLISH,
		.matrix = matrix,
		.input = { .space = LF_SPACE_BUFFER },
	};

	memcpy(publication.name, name, strnlen(name, LF_NAME_BYTES));
	return rig_run(rig, &command, 1, &buffer, 1);
}

uint32_t rig_list(struct rig *rig, struct lf_matrix_info *info, uint32_t count)
{
	struct buffer buffer = { info, count * sizeof(*info) };
	struct lf_command command = {
		.opcode = LF_OP_LIST,
		.count = count,
		.output = { .space = LF_SPACE_BUFFER, .stride = sizeof(*info) },
	};

	ck_assert_uint_eq(rig_run(rig, &command, 1, &buffer, 1), LF_STATUS_OK);
	return (uint32_t)rig->completion.result;
}

void rig_cell(const struct xbar_params *params, const struct place *place,
	      const struct history *history, uint32_t level, struct cell *cell)
{
	struct physics physics;

	xbar_physics_of(params, history, &physics);
	xbar_physics_at(&physics, place, history->wear, level, cell);
}

uint16_t rig_stuck(const struct xbar_params *params, const struct place *place,
		   const struct history *history)
{
	struct cell cell;

	rig_cell(params, place, history, 0, &cell);
	return cell.flags & (LF_CELL_STUCK_ON | LF_CELL_STUCK_OFF | LF_CELL_WORN);
}

uint16_t rig_conductance(const struct analog *analog, size_t column, uint32_t row)
{
	const uint8_t *cells = analog->cells + column * analog->column_bytes;

	if (!analog->packed)
		return ((const uint16_t *)(const void *)cells)[row];
	cells += xbar_packed_at(row);
	return (uint16_t)((cells[0] | cells[1] << 8) >> xbar_packed_shift(row) & PACKED_MOST);
}

uint64_t rig_seed(void)
{
	const char *seed = getenv("LF_TEST_SEED");

	return seed ? strtoull(seed, NULL, 0) : 20260711;
}

/* SplitMix64. */
uint32_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return (uint32_t)((z ^ z >> 31) >> 32);
}

uint32_t draw_below(uint64_t *state, uint32_t limit)
{
	return (uint32_t)((uint64_t)draw(state) * limit >> 32);
}

float draw_float(uint64_t *state)
{
	return (float)(int32_t)draw(state) / 1073741824.0f;
}

struct lf_account rig_account(struct rig *rig, uint32_t number)
{
	struct lf_account account;
	struct buffer buffer = { &account, sizeof(account) };
	struct lf_command command = {
		.opcode = LF_OP_ACCOUNT,
		.first = number,
		.output = { .space = LF_SPACE_BUFFER },
	};

	ck_assert_uint_eq(rig_run(rig, &command, 1, &buffer, 1), LF_STATUS_OK);
	return account;
}

uint16_t rig_set_quota(struct rig *rig, uint32_t number, uint64_t cells)
{
	struct buffer buffer = { &cells, sizeof(cells) };
	struct lf_command command = {
		.opcode = LF_OP_ACCOUNT,
		.flags = LF_ACCOUNT_SET_QUOTA,
		.first = number,
		.input = { .space = LF_SPACE_BUFFER },
	};

	return rig_run(rig, &command, 1, &buffer, 1);
}

struct lf_telemetry_block rig_telemetry(const struct rig *rig)
{
	struct lf_telemetry_block telemetry;

	xbar_telemetry(rig->xbar, &telemetry);
	return telemetry;
}

struct place rig_place(uint32_t index)
{
	return (struct place){
		.row = index % 128,
		.weight = index / 128 % 16,
		.side = index / 2048 % 2,
		.slice = index / 4096 % 4,
		.tile = index / 16384,
	};
}

void draw_weights(int8_t *weights, size_t count, uint64_t seed)
{
	for (size_t i = 0; i < count; i++)
		weights[i] = (int8_t)((int)draw_below(&seed, 255) - 127);
}
