// SPDX-License-Identifier: MIT
/* Logs, images and judgements of power cuts. */
#include "tests/unit/cuts_fixture.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/xbar_rig.h"

#define WORD 8

void cut_log_start(struct cut_log *log, const uint8_t *memory, uint64_t bytes)
{
	*log = (struct cut_log){
		.memory = memory,
		.bytes = bytes,
		.base = malloc(bytes),
		.durable = malloc(bytes),
		.kept = malloc(bytes),
		.words = malloc(bytes),
	};
	ck_assert(log->base && log->durable && log->kept && log->words);
	memcpy(log->base, memory, bytes);
}

void cut_log_end(struct cut_log *log)
{
	free(log->base);
	free(log->durable);
	free(log->kept);
	free(log->words);
	free(log->events);
	free(log->data);
	*log = (struct cut_log){ 0 };
}

static struct log_event *next_event(struct cut_log *log)
{
	if (log->count == log->room) {
		log->room = log->room ? 2 * log->room : 64;
		log->events = realloc(log->events, log->room * sizeof(*log->events));
		ck_assert_ptr_nonnull(log->events);
	}
	log->events[log->count] = (struct log_event){ 0 };
	return &log->events[log->count++];
}

void cut_log_wrote(struct cut_log *log, uint64_t offset, uint64_t bytes)
{
	struct log_event *event = next_event(log);

	ck_assert(offset <= log->bytes && bytes <= log->bytes - offset);
	if (log->data_bytes + bytes > log->data_room) {
		log->data_room = 2 * log->data_room + (uint32_t)bytes + 4096;
		log->data = realloc(log->data, log->data_room);
		ck_assert_ptr_nonnull(log->data);
	}
	event->offset = offset;
	event->bytes = (uint32_t)bytes;
	event->data = log->data_bytes;
	memcpy(log->data + log->data_bytes, log->memory + offset, bytes);
	log->data_bytes += (uint32_t)bytes;
}

void cut_log_persist(struct cut_log *log)
{
	next_event(log)->barrier = true;
}

static void apply(const struct cut_log *log, uint32_t first, uint32_t end, uint8_t *memory)
{
	for (uint32_t i = first; i < end; i++)
		if (!log->events[i].barrier)
			memcpy(memory + log->events[i].offset, log->data + log->events[i].data,
			       log->events[i].bytes);
}

/* The images of one interval between barriers. */
struct interval {
	const struct cut_log *log;
	uint8_t *durable; /* at its start */
	uint8_t *kept;	  /* at its end */
	uint64_t *words;  /* offsets of the words that differ */
	uint32_t count;
	uint8_t *image;
	void (*check)(void *argument, const struct cut *cut);
	void *argument;
};

static void try(const struct interval *interval, uint32_t position, const char *kind, uint64_t word)
{
	const struct cut cut = { position, kind, word };

	interval->check(interval->argument, &cut);
}

static void find_words(struct interval *interval)
{
	interval->count = 0;
	for (uint64_t i = 0; i < interval->log->bytes; i += WORD)
		if (memcmp(interval->durable + i, interval->kept + i, WORD))
			interval->words[interval->count++] = i;
}

static void try_words(const struct interval *interval, uint32_t position)
{
	uint64_t bytes = interval->log->bytes;

	/* Of one word there is all or nothing, which has been tried. */
	for (uint32_t i = 0; interval->count > 1 && i < interval->count; i++) {
		uint64_t word = interval->words[i];

		memcpy(interval->image, interval->durable, bytes);
		memcpy(interval->image + word, interval->kept + word, WORD);
		try(interval, position, "one kept", word);
		if (interval->count == 2)
			continue;
		memcpy(interval->image, interval->kept, bytes);
		memcpy(interval->image + word, interval->durable + word, WORD);
		try(interval, position, "one lost", word);
	}
}

/* Choices that are neither all, nor one, nor all but one. */
static void try_choices(const struct interval *interval, uint32_t position)
{
	uint64_t state = rig_seed() + position;

	for (uint32_t choice = 0; interval->count > 3 && choice < 4; choice++) {
		memcpy(interval->image, interval->durable, interval->log->bytes);
		for (uint32_t i = 0; i < interval->count; i++)
			if (draw_below(&state, 2))
				memcpy(interval->image + interval->words[i],
				       interval->kept + interval->words[i], WORD);
		try(interval, position, "some kept", choice);
	}
}

void cut_images(struct cut_log *log, uint32_t first, uint32_t end, enum cut_density density,
		uint8_t *image, void (*check)(void *, const struct cut *), void *argument)
{
	struct interval interval = {
		.log = log,
		.durable = log->durable,
		.kept = log->kept,
		.words = log->words,
		.image = image,
		.check = check,
		.argument = argument,
	};
	uint32_t start = first;

	/* The interval that @first lies in begins behind the barrier before it. */
	while (start && !log->events[start - 1].barrier)
		start--;
	memcpy(interval.durable, log->base, log->bytes);
	apply(log, 0, start, interval.durable);
	for (uint32_t position = first;; position++) {
		bool last = position == end || log->events[position].barrier;

		if (position == first || position == start || position == end) {
			memcpy(image, interval.durable, log->bytes);
			try(&interval, position, "lost", 0);
		}
		if (position > start) {
			memcpy(image, interval.durable, log->bytes);
			apply(log, start, position, image);
			try(&interval, position, "kept", 0);
		}
		if (last) {
			memcpy(interval.kept, interval.durable, log->bytes);
			apply(log, start, position, interval.kept);
			find_words(&interval);
			if (density >= CUT_WORDS)
				try_words(&interval, position);
			if (density >= CUT_CHOICES)
				try_choices(&interval, position);
			memcpy(interval.durable, interval.kept, log->bytes);
			start = position + 1;
		}
		if (position == end)
			break;
	}
}

static void held_of(const struct xbar *xbar, const struct matrix *matrix, struct held *held)
{
	const struct xbar_image_layout *layout = &xbar->layout;
	uint32_t spares = xbar->params.spare_weights, tiles = matrix->tile_rows * matrix->tile_cols;

	ck_assert_uint_le(tiles, CUTS_GRID);
	ck_assert_uint_le(spares, CUTS_SPARES);
	ck_assert_uint_le(matrix->entry.rows * matrix->entry.cols, CUTS_WEIGHTS);
	held->state = matrix->state;
	held->entry = matrix->entry;
	for (uint32_t i = 0; i < tiles; i++) {
		held->tiles[i] = matrix->tiles[i];
		memcpy(held->spares[i],
		       xbar->nv.memory + layout->spares + (uint64_t)matrix->tiles[i] * spares * 2,
		       spares * 2);
	}
	for (uint32_t row = 0; row < matrix->entry.rows; row++)
		xbar_cells_read_row(xbar, matrix, row, held->weights + row * matrix->entry.cols);
}

void holding_of(const struct xbar *xbar, struct holding *holding)
{
	memset(holding, 0, sizeof(*holding));
	ck_assert_uint_eq(xbar->params.matrices, CUTS_MATRICES);
	ck_assert_uint_eq(xbar->params.accounts, CUTS_ACCOUNTS);
	ck_assert_uint_eq(xbar->params.tiles, CUTS_TILES);
	ck_assert_uint_eq(xbar->layout.wear_groups, CUTS_GROUPS);
	for (uint32_t i = 0; i < CUTS_MATRICES; i++)
		if (xbar->matrices[i].state)
			held_of(xbar, &xbar->matrices[i], &holding->held[i]);
	for (uint32_t i = 0; i < CUTS_ACCOUNTS; i++)
		if (xbar->accounts[i].used) {
			holding->used[i] = true;
			holding->accounts[i] = xbar->accounts[i].entry;
		}
	for (uint32_t tile = 0; tile < CUTS_TILES; tile++) {
		holding->owners[tile] = xbar_tiles_owner(xbar, tile);
		for (uint32_t group = 0; group < CUTS_GROUPS; group++)
			holding->wear[tile][group] =
				xbar_tiles_wear(xbar, tile, group * xbar->params.wear_rows);
	}
	holding->counters = xbar->counters;
}

static const struct held *find_held(const struct holding *holding, uint32_t identifier)
{
	for (uint32_t i = 0; i < CUTS_MATRICES; i++)
		if (holding->held[i].state && holding->held[i].entry.matrix == identifier)
			return &holding->held[i];
	return NULL;
}

static bool is_same(const struct held *a, const struct held *b)
{
	return a && b && !memcmp(a, b, sizeof(*a));
}

/* Each matrix is as it was or as it was to become, and which there are follows from that. */
static const char *judge_matrices(const struct judgement *judgement, const struct holding *found)
{
	const struct holding *before = judgement->before, *after = judgement->after;

	for (uint32_t i = 0; i < CUTS_MATRICES; i++) {
		const struct held *held = &found->held[i];

		if (!held->state)
			continue;
		if (held->state == LF_MATRIX_TORN)
			return "a torn matrix is there";
		if (judgement->acknowledged) {
			if (!is_same(held, find_held(after, held->entry.matrix)))
				return "a matrix is not as it was acknowledged";
		} else if (!is_same(held, find_held(before, held->entry.matrix)) &&
			   !is_same(held, find_held(after, held->entry.matrix))) {
			return "a matrix is neither as before nor as after";
		}
	}
	for (uint32_t i = 0; i < CUTS_MATRICES; i++) {
		uint32_t identifier = after->held[i].entry.matrix;

		if (!after->held[i].state || find_held(found, identifier))
			continue;
		if (judgement->acknowledged || find_held(before, identifier))
			return "a committed matrix is lost";
	}
	return NULL;
}

bool cut_group_changed(const struct xbar *xbar, const uint8_t *start, const uint8_t *image,
		       uint32_t tile, uint32_t group)
{
	uint64_t row_bytes = (uint64_t)xbar->tile_weights * xbar->weight_bytes;

	/* Four rows lie together, weight by weight: see image.h. */
	for (uint32_t row = 0; row < xbar->params.tile_rows; row++)
		for (uint64_t weight = 0;
		     row / xbar->params.wear_rows == group && weight < row_bytes; weight++) {
			uint64_t cell = xbar->layout.cells + tile * xbar->layout.tile_bytes +
					row / 4 * 4 * row_bytes + weight * 4 + row % 4;

			if ((start ? start[cell] : 0) != image[cell])
				return true;
		}
	return false;
}

/* Wear is counted before the pulse, and never back. */
static const char *judge_wear(const struct judgement *judgement, const struct xbar *xbar,
			      const uint8_t *image, const struct holding *found, bool *pulsed)
{
	*pulsed = false;
	for (uint32_t tile = 0; tile < CUTS_TILES; tile++)
		for (uint32_t group = 0; group < CUTS_GROUPS; group++) {
			uint32_t wear = found->wear[tile][group];
			uint32_t before = judgement->before->wear[tile][group];
			uint32_t after = judgement->after->wear[tile][group];
			bool changed =
				cut_group_changed(xbar, judgement->start, image, tile, group);

			if (wear < before)
				return "wear ran backwards";
			if (wear > after)
				return "wear was counted twice";
			if ((changed || judgement->acknowledged) && wear != after)
				return "cells were written without wear";
			*pulsed |= changed;
		}
	return NULL;
}

static const char *judge_ledger(const struct judgement *judgement, const struct xbar *xbar,
				const struct holding *found, bool pulsed)
{
	for (uint32_t i = 0; i < CUTS_ACCOUNTS; i++) {
		const struct image_account *account = &found->accounts[i];
		const struct image_account *before = &judgement->before->accounts[i];
		const struct image_account *after = &judgement->after->accounts[i];
		/* An account that is not there yet has the quota that all begin with. */
		uint64_t quota_before = judgement->before->used[i] ? before->quota_cells
								   : xbar->params.default_quota;

		if (judgement->before->used[i] && !found->used[i])
			return "an account is lost";
		if (!found->used[i])
			continue;
		if (account->reserved_cells)
			return "an account has something reserved";
		if (account->account != after->account)
			return "an account is another";
		if (account->quota_cells != after->quota_cells &&
		    (account->quota_cells != quota_before || judgement->acknowledged))
			return "a quota is neither the old nor the new";
		if (account->written_cells < before->written_cells)
			return "the ledger ran backwards";
		if (account->written_cells > before->written_cells + judgement->worst_cells)
			return "more was charged than was reserved";
		if (pulsed && account->written_cells < after->written_cells)
			return "cells were written that nobody paid";
		if (judgement->acknowledged && account->written_cells != after->written_cells)
			return "what was acknowledged is not what was charged";
	}
	return NULL;
}

static bool is_blank(const struct xbar *xbar, uint32_t tile)
{
	const uint8_t *cells =
		xbar->nv.memory + xbar->layout.cells + tile * xbar->layout.tile_bytes;

	for (uint64_t i = 0; i < xbar->layout.tile_bytes; i++)
		if (cells[i])
			return false;
	return true;
}

/* Each tile is somebody's or nobody's, once; and what is nobody's tells nothing. */
static const char *judge_tiles(const struct judgement *judgement, const struct xbar *xbar,
			       const struct holding *found)
{
	uint32_t used = 0, dirty = 0, bad = 0, grid = 0;

	for (uint32_t tile = 0; tile < CUTS_TILES; tile++) {
		uint32_t owner = found->owners[tile], before = judgement->before->owners[tile];

		if (owner == IMAGE_OWNER_NONE) {
			if (!is_blank(xbar, tile))
				return "a free tile holds something";
			if (before == IMAGE_OWNER_BAD)
				return "a bad tile is free";
		} else if (owner == IMAGE_OWNER_DIRTY) {
			dirty++;
		} else if (owner == IMAGE_OWNER_BAD) {
			bad++;
			if (before != IMAGE_OWNER_BAD &&
			    judgement->after->owners[tile] != IMAGE_OWNER_BAD)
				return "a good tile is retired";
		} else {
			used++;
			if (!find_held(found, owner))
				return "a tile belongs to no matrix";
		}
		if (judgement->acknowledged && owner != judgement->after->owners[tile])
			return "a tile is not whose it was acknowledged to be";
	}
	for (uint32_t i = 0; i < CUTS_MATRICES; i++)
		if (xbar->matrices[i].state)
			grid += xbar->matrices[i].tile_rows * xbar->matrices[i].tile_cols;
	if (used != grid)
		return "a matrix has other tiles than it has";
	if (xbar->tiles_used != used || xbar->tiles_dirty != dirty || xbar->tiles_bad != bad)
		return "the tiles are miscounted";
	return NULL;
}

static const char *judge_counters(const struct judgement *judgement, const struct holding *found)
{
	const struct image_counters *counters = &found->counters;
	const struct image_counters *before = &judgement->before->counters;
	const struct image_counters *after = &judgement->after->counters;

	if (counters->last_matrix < before->last_matrix)
		return "an identifier may be given again";
	if (counters->cells_written < before->cells_written ||
	    counters->cells_erased < before->cells_erased)
		return "cells written were forgotten";
	if (counters->stuck_parts != after->stuck_parts &&
	    (counters->stuck_parts != before->stuck_parts || judgement->acknowledged))
		return "cells that are stuck were forgotten";
	if (judgement->acknowledged && counters->time_ns < judgement->least_ns)
		return "time that had passed was forgotten";
	for (uint32_t i = 0; i < CUTS_MATRICES; i++)
		if (found->held[i].state && found->held[i].entry.programmed_ns > counters->time_ns)
			return "a matrix is of the future";
	return NULL;
}

const char *judge(const struct judgement *judgement, const struct xbar *xbar, const uint8_t *image,
		  struct holding *found)
{
	const char *wrong;
	bool pulsed;

	holding_of(xbar, found);
	wrong = judge_matrices(judgement, found);
	if (!wrong)
		wrong = judge_wear(judgement, xbar, image, found, &pulsed);
	if (!wrong)
		wrong = judge_ledger(judgement, xbar, found, pulsed);
	if (!wrong)
		wrong = judge_tiles(judgement, xbar, found);
	if (!wrong)
		wrong = judge_counters(judgement, found);
	if (!wrong && xbar->nv.memory[xbar->layout.journal])
		wrong = "the journal is in use";
	for (uint32_t i = 0; !wrong && i < CUTS_MATRICES; i++)
		if (!found->held[i].state &&
		    xbar->nv.memory[xbar->layout.directory + i * IMAGE_MATRIX_STRIDE])
			wrong = "an entry that was dropped is there";
	return wrong;
}
