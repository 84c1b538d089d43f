/* SPDX-License-Identifier: MIT */
/*
 * Power cuts of the model's memory: a log of every write and barrier, the images that a cut can leave, and what a device must be
 * like once it has attached to one.
 */
#ifndef TESTS_UNIT_CUTS_FIXTURE_H
#define TESTS_UNIT_CUTS_FIXTURE_H

#include "qemu-device/model/device.h"

#define CUTS_MATRICES 4
#define CUTS_ACCOUNTS 3
#define CUTS_TILES    12
#define CUTS_GROUPS   2 /* row groups of a tile */
#define CUTS_GRID     4 /* most tiles of a matrix */
#define CUTS_WEIGHTS  64
#define CUTS_SPARES   2

/**
 * struct log_event - a write, or a barrier
 * @barrier: everything before it is on the medium
 * @offset: of a write
 * @bytes: its length
 * @data: where its bytes are in the log
 */
struct log_event {
	bool barrier;
	uint64_t offset;
	uint32_t bytes;
	uint32_t data;
};

/**
 * struct cut_log - what was written to a memory since it was started
 * @memory: the memory that is written
 * @base: its contents at the start
 * @bytes: length of both
 * @durable: room for images, as the following
 */
struct cut_log {
	const uint8_t *memory;
	uint8_t *base;
	uint64_t bytes;
	uint8_t *durable;
	uint8_t *kept;
	uint64_t *words;
	struct log_event *events;
	uint32_t count;
	uint32_t room;
	uint8_t *data;
	uint32_t data_bytes;
	uint32_t data_room;
};

/* @memory of @bytes bytes is watched from now on. */
void cut_log_start(struct cut_log *log, const uint8_t *memory, uint64_t bytes);
void cut_log_end(struct cut_log *log);

/* To be called from struct xbar_ops. */
void cut_log_wrote(struct cut_log *log, uint64_t offset, uint64_t bytes);
void cut_log_persist(struct cut_log *log);

/**
 * struct cut - a place in a log, and what is left there
 * @position: events that happened
 * @kind: "lost", "kept", "one lost", "one kept", "some kept": of the words written since the last barrier
 * @word: offset of the one, or the number of the choice
 */
struct cut {
	uint32_t position;
	const char *kind;
	uint64_t word;
};

/**
 * enum cut_density - how many images of a barrier interval are tried
 * @CUT_PREFIXES: everything lost at its start, and after each write everything kept
 * @CUT_WORDS: and of each word of eight bytes that changed: it alone lost, it alone kept
 * @CUT_CHOICES: and some choices of words at random
 */
enum cut_density { CUT_PREFIXES, CUT_WORDS, CUT_CHOICES };

/**
 * cut_images() - every image that a cut between two positions of a log may leave
 * @first: first position
 * @end: last position
 * @density: of the choice
 * @image: memory for an image, of log->bytes bytes; handed to @check anew each time, which may write it
 * @check: called for each
 */
void cut_images(struct cut_log *log, uint32_t first, uint32_t end, enum cut_density density,
		uint8_t *image, void (*check)(void *argument, const struct cut *cut),
		void *argument);

/* A matrix as attaching finds it. */
struct held {
	uint32_t state; /* 0: not there */
	uint32_t spares_bytes;
	struct image_matrix entry;
	uint32_t tiles[CUTS_GRID];
	uint16_t spares[CUTS_GRID][CUTS_SPARES];
	int8_t weights[CUTS_WEIGHTS];
};

/* Everything that lasts. */
struct holding {
	struct held held[CUTS_MATRICES];
	struct image_account accounts[CUTS_ACCOUNTS]; /* as in the ledger; unused ones are zeros */
	bool used[CUTS_ACCOUNTS];
	uint32_t owners[CUTS_TILES];
	uint32_t wear[CUTS_TILES][CUTS_GROUPS];
	struct image_counters counters;
};

/* What a device that has just attached holds. */
void holding_of(const struct xbar *xbar, struct holding *holding);

/* Whether cells of a row group of a tile are in @image others than in @start, or, when that is NULL, others than zero. */
bool cut_group_changed(const struct xbar *xbar, const uint8_t *start, const uint8_t *image,
		       uint32_t tile, uint32_t group);

/**
 * struct judgement - what is expected of a device that attached to an image
 * @before: what attaching finds before the operation that was cut
 * @after: and after it
 * @acknowledged: the operation had returned: only @after will do
 * @start: the memory when the operation began
 * @worst_cells: most that it may be charged for
 * @least_ns: modelled time that must have passed once it is acknowledged
 */
struct judgement {
	const struct holding *before;
	const struct holding *after;
	bool acknowledged;
	const uint8_t *start;
	uint64_t worst_cells;
	uint64_t least_ns;
};

/**
 * judge() - whether a recovery is right
 * @xbar: has just attached
 * @image: what it attached to, before it did
 * @found: receives what it holds
 *
 * Return: NULL, or what is wrong.
 */
const char *judge(const struct judgement *judgement, const struct xbar *xbar, const uint8_t *image,
		  struct holding *found);

#endif
