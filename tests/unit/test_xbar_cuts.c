// SPDX-License-Identifier: MIT
/*
 * Power cuts, systematically: sequences of operations, each cut after every write it makes, with what was written since the
 * last barrier kept, lost, or in parts; and what recovers from a cut is cut again, and again. Most mistakes of this kind need
 * three operations or fewer (CrashMonkey, OSDI 2018), so sequences are short and complete rather than long and random. In some of
 * what a cut leaves a bit is turned too, which must be found where it counts.
 *
 * LF_TEST_CUTS=all tries all sequences of three operations, cuts every recovery, and tries its words too; it takes a quarter
 * of an hour. LF_TEST_CUTS=few is for sanitizers, which take twenty times as long: few sequences of three operations, few recoveries.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/cuts_fixture.h"
#include "tests/unit/cuts_operations.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

enum thoroughness { FEW, USUAL, ALL };

#define STEPS_MAX  3
#define LEVELS	   3 /* a cut, a cut of its recovery, a cut of that one's */
#define ACCOUNT	   1000
#define PULSES_MAX 3

static const char *const configurations[][20] = {
	{ NULL },
	{ "spare_weights=2", "stuck_on=0.03", "stuck_off=0.02", "program_sigma=0.06",
	  "verify_tolerance=0.05", "verify_pulses=3", "relax_sigma_slope=0.03",
	  "relax_start_ms=1000", "refresh_s=100", NULL },
	{ "spare_weights=1", "endurance=4", "endurance_spread=0.4", "worn_on=0.5", "retire_cells=6",
	  "wear_warning=3", "program_sigma=0.04", NULL },
};

#define CONFIGURATIONS (sizeof(configurations) / sizeof(configurations[0]))

/* Counted over all of a test. */
struct count {
	uint64_t sequences;
	uint64_t cuts[LEVELS];
	uint64_t damaged;
	uint64_t refused;
};

struct story {
	struct rig rig;
	uint32_t configuration;
	uint32_t base;
	enum operation steps[STEPS_MAX];
	uint32_t length;
	uint32_t renamed;
	struct cut_log log;
	bool logs;
	struct judgement judgement;
	enum thoroughness thoroughness;
	struct count *count;
};

static void wrote(void *opaque, uint64_t offset, uint64_t bytes)
{
	struct story *story = opaque;

	if (story->logs)
		cut_log_wrote(&story->log, offset, bytes);
}

static void persisted(void *opaque, uint64_t offset, uint64_t bytes)
{
	struct story *story = opaque;

	(void)offset;
	(void)bytes;
	if (story->logs)
		cut_log_persist(&story->log);
}

static const struct xbar_ops logging = { .persist = persisted, .wrote = wrote };

static struct xbar_params *make_params(uint32_t configuration)
{
	static const char *const geometry[] = {
		"tiles=12",    "tile_rows=4", "tile_cols=32", "matrices=4",  "accounts=3",
		"wear_rows=2", "adc_bits=4",  "seed=11",      "simd=scalar", NULL,
	};
	const char *const *lists[] = { geometry, configurations[configuration] };
	char message[XBAR_MESSAGE_BYTES], key[64];
	struct xbar_params *params;

	ck_assert_int_eq(xbar_params_create("isaac", &params), 0);
	for (int list = 0; list < 2; list++)
		for (int i = 0; lists[list][i]; i++) {
			const char *setting = lists[list][i], *value = strchr(setting, '=');

			memcpy(key, setting, (size_t)(value - setting));
			key[value - setting] = '\0';
			ck_assert_msg(!xbar_params_set(params, key, value + 1, message), "%s",
				      message);
		}
	return params;
}

static struct xbar *attach(const struct story *story, uint8_t *memory, const struct xbar_ops *ops,
			   void *opaque)
{
	struct xbar *xbar = NULL;
	char message[XBAR_MESSAGE_BYTES] = "";
	int error = xbar_create(story->rig.params, memory, story->rig.bytes, ops, opaque, message,
				&xbar);

	ck_assert_msg(!error, "does not attach: %s", message);
	return xbar;
}

static void complain(const struct story *story, const struct cut *cuts, uint32_t level,
		     const char *what)
{
	char text[512];
	int length = sprintf(text, "%s: configuration %u, base %u, ", what, story->configuration,
			     story->base);

	for (uint32_t i = 0; i < story->length; i++)
		length += sprintf(text + length, "%s%s", i ? ", " : "",
				  cuts_operation_names[story->steps[i]]);
	for (uint32_t i = 0; i <= level; i++)
		length += sprintf(text + length, "; cut %u at %u of %u, %s 0x%llx", i + 1,
				  cuts[i].position, story->log.count, cuts[i].kind,
				  (unsigned long long)cuts[i].word);
	ck_abort_msg("%s", text);
}

/* An image that is attached to, and the cuts that led to it. */
struct attempt {
	struct story *story;
	uint32_t level;
	uint32_t end; /* of the log that was cut */
	struct cut cuts[LEVELS + 1];
	uint8_t *damaged; /* room for one with a bit turned */
	uint8_t *images[LEVELS];
	uint8_t *copies[LEVELS];
	struct cut_log logs[LEVELS];
};

static void attempt_wrote(void *opaque, uint64_t offset, uint64_t bytes)
{
	struct attempt *attempt = opaque;

	cut_log_wrote(&attempt->logs[attempt->level], offset, bytes);
}

static void attempt_persisted(void *opaque, uint64_t offset, uint64_t bytes)
{
	struct attempt *attempt = opaque;

	(void)offset;
	(void)bytes;
	cut_log_persist(&attempt->logs[attempt->level]);
}

/* What was recovered lasts: attaching again finds the same and has nothing to write. */
static void attach_again(struct attempt *attempt, uint8_t *memory, const struct holding *expected)
{
	static const struct xbar_ops ops = { .persist = attempt_persisted, .wrote = attempt_wrote };
	struct story *story = attempt->story;
	struct cut_log *log = &attempt->logs[attempt->level];
	struct holding found;
	struct xbar *xbar;

	log->count = log->data_bytes = 0;
	log->memory = memory;
	xbar = attach(story, memory, &ops, attempt);
	holding_of(xbar, &found);
	if (log->count)
		complain(story, attempt->cuts, attempt->level, "recovering again writes again");
	if (memcmp(&found, expected, sizeof(found)))
		complain(story, attempt->cuts, attempt->level,
			 "recovering again finds other things");
	xbar_destroy(xbar);
}

/* Dirty tiles can be erased: what holds something wears once more, also where a cut erased some of it, and nothing else does. */
static void erase_dirt(struct attempt *attempt, struct rig *rig, const struct holding *found)
{
	uint32_t wear[CUTS_TILES][CUTS_GROUPS];

	for (uint32_t tile = 0; tile < CUTS_TILES; tile++)
		for (uint32_t group = 0; group < CUTS_GROUPS; group++)
			wear[tile][group] =
				found->wear[tile][group] +
				(found->owners[tile] == IMAGE_OWNER_DIRTY &&
				 cut_group_changed(rig->xbar, NULL, rig->memory, tile, group));
	cuts_manage(rig, LF_OP_SANITIZE, 0, CUTS_TILES);
	if (rig->xbar->tiles_dirty)
		complain(attempt->story, attempt->cuts, attempt->level,
			 "dirty tiles are not erased");
	for (uint32_t tile = 0; tile < CUTS_TILES; tile++)
		for (uint32_t group = 0; group < CUTS_GROUPS; group++)
			if (xbar_tiles_wear(rig->xbar, tile, group * rig->xbar->params.wear_rows) !=
			    wear[tile][group])
				complain(attempt->story, attempt->cuts, attempt->level,
					 "erasing wears something else than it erases");
}

/* The device works: a matrix can be made, unless there is no room for one. */
static void go_on(struct attempt *attempt, uint8_t *memory, const struct holding *found)
{
	struct story *story = attempt->story;
	struct rig rig = { .params = story->rig.params, .memory = memory, .account = CUTS_OTHER };
	uint32_t free_tiles = 0, identifier;

	for (uint32_t tile = 0; tile < CUTS_TILES; tile++)
		free_tiles += found->owners[tile] == IMAGE_OWNER_NONE;
	if (!free_tiles || (story->configuration == 2))
		return;
	rig.xbar = attach(story, memory, NULL, NULL);
	erase_dirt(attempt, &rig, found);
	identifier = rig_create_matrix(&rig, 4, 4);
	for (uint32_t i = 0; i < CUTS_MATRICES; i++)
		if (found->held[i].entry.matrix == identifier)
			complain(story, attempt->cuts, attempt->level, "cannot go on");
	xbar_destroy(rig.xbar);
}

/* A bit of @image that somebody depends on, or may: not of tiles that are no committed matrix's. */
static uint64_t choose_bit(const struct xbar *xbar, uint64_t *state)
{
	const struct xbar_image_layout *layout = &xbar->layout;
	uint64_t sections[] = { layout->counters, layout->directory, layout->ledger, layout->tiles,
				layout->spares,	  layout->wear,	     layout->journal };
	/* What a record takes, or the whole section. */
	uint64_t bytes[] = {
		IMAGE_COUNTERS_STRIDE + XBAR_NV_RECORD_BYTES(sizeof(struct image_counters)),
		CUTS_MATRICES * IMAGE_MATRIX_STRIDE,
		CUTS_ACCOUNTS * IMAGE_ACCOUNT_STRIDE,
		CUTS_TILES * sizeof(uint64_t),
		CUTS_TILES * xbar->params.spare_weights * sizeof(uint16_t),
		CUTS_TILES * CUTS_GROUPS * sizeof(uint64_t),
		IMAGE_JOURNAL_STRIDE + 2 * layout->slot_bytes,
	};
	uint32_t section = draw_below(state, 12);

	/* Half of them in cells, if there are any. */
	for (uint32_t tries = 0; section >= 7 && tries < 16; tries++) {
		const struct matrix *matrix = &xbar->matrices[draw_below(state, CUTS_MATRICES)];

		if (matrix->state >= LF_MATRIX_COMMITTED) {
			uint32_t tile = matrix->tiles[draw_below(state, matrix->tile_rows *
										matrix->tile_cols)];

			return (layout->cells + tile * layout->tile_bytes) * 8 +
			       draw_below(state, (uint32_t)layout->tile_bytes * 8);
		}
	}
	section %= 7;
	if (!bytes[section])
		return draw_below(state, sizeof(struct xbar_image_header) * 8);
	return sections[section] * 8 + draw_below(state, (uint32_t)bytes[section] * 8);
}

/* A bit of what a cut left is turned too: it is refused and left as it is, or what is recovered is right nevertheless. */
static void damage(struct attempt *attempt, uint8_t *memory, const struct xbar *healthy,
		   const struct judgement *judgement)
{
	struct story *story = attempt->story;
	const uint8_t *image = attempt->images[attempt->level];
	uint64_t state = rig_seed() + story->count->damaged++, bit = choose_bit(healthy, &state);
	uint8_t turned = image[bit / 8] ^ (uint8_t)(1 << bit % 8);
	struct holding found;
	struct xbar *xbar;
	const char *wrong;

	memcpy(memory, image, story->rig.bytes);
	memory[bit / 8] = turned;
	if (!xbar_create(story->rig.params, memory, story->rig.bytes, NULL, NULL, NULL, &xbar)) {
		wrong = judge(judgement, xbar, image, &found);
		xbar_destroy(xbar);
	} else {
		story->count->refused++;
		memory[bit / 8] ^= (uint8_t)(1 << bit % 8);
		wrong = memcmp(memory, image, story->rig.bytes) ? "a damaged memory was changed"
								: NULL;
	}
	attempt->cuts[attempt->level + 1] = (struct cut){ 0, "and turned bit", bit };
	if (wrong)
		complain(story, attempt->cuts, attempt->level + 1, wrong);
}

static void check_image(void *argument, const struct cut *cut)
{
	static const struct xbar_ops ops = { .persist = attempt_persisted, .wrote = attempt_wrote };
	static const uint32_t every[][LEVELS - 1] = {
		[FEW] = { 64, 64 },
		[USUAL] = { 4, 32 },
		[ALL] = { 1, 16 },
	};
	struct attempt *attempt = argument;
	struct story *story = attempt->story;
	struct judgement judgement = story->judgement;
	uint32_t level = attempt->level;
	uint8_t *image = attempt->images[level], *memory = attempt->copies[level];
	struct cut_log *log = &attempt->logs[level];
	uint64_t number = story->count->cuts[level]++;
	struct holding found;
	struct xbar *xbar;
	const char *wrong;

	attempt->cuts[level] = *cut;
	judgement.acknowledged &= attempt->cuts[0].position == attempt->end;
	memcpy(memory, image, story->rig.bytes);
	log->count = log->data_bytes = 0;
	log->memory = memory;
	memcpy(log->base, image, story->rig.bytes);
	xbar = attach(story, memory, &ops, attempt);
	wrong = judge(&judgement, xbar, image, &found);
	if (wrong)
		complain(story, attempt->cuts, level, wrong);
	if (number % 4 == 0)
		damage(attempt, attempt->damaged, xbar, &judgement);
	xbar_destroy(xbar);

	/* Some recoveries are cut in turn, or all; and some of what recovers from those. */
	if (level + 1 < LEVELS && log->count && number % every[story->thoroughness][level] == 0) {
		attempt->level++;
		cut_images(log, 0, log->count,
			   story->thoroughness == ALL && level == 0 ? CUT_WORDS : CUT_PREFIXES,
			   attempt->images[attempt->level], check_image, attempt);
		attempt->level--;
	}
	attach_again(attempt, memory, &found);
	if (number % 16 == 0)
		go_on(attempt, memory, &found);
}

static void try_cuts(struct story *story, uint32_t first, bool acknowledged)
{
	struct attempt attempt = { .story = story, .end = story->log.count };

	story->judgement.acknowledged = acknowledged;
	attempt.damaged = aligned_alloc(4096, story->rig.bytes);
	ck_assert_ptr_nonnull(attempt.damaged);
	for (uint32_t i = 0; i < LEVELS; i++) {
		attempt.images[i] = malloc(story->rig.bytes);
		attempt.copies[i] = aligned_alloc(4096, story->rig.bytes);
		ck_assert(attempt.images[i] && attempt.copies[i]);
		cut_log_start(&attempt.logs[i], attempt.copies[i], story->rig.bytes);
	}
	cut_images(&story->log, first, story->log.count, CUT_CHOICES, attempt.images[0],
		   check_image, &attempt);
	for (uint32_t i = 0; i < LEVELS; i++) {
		free(attempt.images[i]);
		free(attempt.copies[i]);
		cut_log_end(&attempt.logs[i]);
	}
	free(attempt.damaged);
}

/* What attaching to a copy of the memory finds; the weights of matrices that nothing changed are what was programmed. */
static void look(struct story *story, struct holding *holding)
{
	uint8_t *copy = aligned_alloc(4096, story->rig.bytes);
	struct xbar *xbar;

	memcpy(copy, story->rig.memory, story->rig.bytes);
	xbar = attach(story, copy, NULL, NULL);
	holding_of(xbar, holding);
	for (uint32_t i = 0; i < CUTS_MATRICES; i++) {
		const struct held *held = &holding->held[i];
		int8_t weights[CUTS_WEIGHTS];

		if (!held->state || (held->entry.refreshes && story->configuration))
			continue;
		draw_weights(weights, CUTS_WEIGHTS, held->entry.matrix);
		ck_assert_mem_eq(weights, held->weights, held->entry.rows * held->entry.cols);
	}
	xbar_destroy(xbar);
	free(copy);
}

static void open_story(struct story *story)
{
	struct rig *rig = &story->rig;

	*rig = (struct rig){ .threads = 1, .account = ACCOUNT, .privileged = true };
	rig->params = make_params(story->configuration);
	rig->bytes = xbar_nonvolatile_bytes(rig->params);
	rig->memory = aligned_alloc(4096, rig->bytes);
	ck_assert_ptr_nonnull(rig->memory);
	memset(rig->memory, 0, rig->bytes);
	story->logs = false;
	story->renamed = 0;
}

static void close_story(struct story *story)
{
	story->logs = false;
	cut_log_end(&story->log);
	rig_close(&story->rig);
}

/* The device is cut while it formats its memory. */
static void cut_formatting(struct story *story)
{
	struct holding nothing = { 0 };
	uint8_t *zeros;

	open_story(story);
	story->length = 0;
	zeros = calloc(1, story->rig.bytes);
	cut_log_start(&story->log, story->rig.memory, story->rig.bytes);
	story->logs = true;
	story->rig.xbar = attach(story, story->rig.memory, &logging, story);
	story->judgement =
		(struct judgement){ .before = &nothing, .after = &nothing, .start = zeros };
	try_cuts(story, 0, false);
	free(zeros);
	close_story(story);
}

/* Tells the story of the steps and cuts the last; false when a step had nothing to do. */
static bool cut_last_step(struct story *story)
{
	struct holding before, after;
	uint8_t *start = NULL;
	bool done = true;
	uint32_t first = 0;

	open_story(story);
	story->rig.xbar = attach(story, story->rig.memory, &logging, story);
	cuts_base(&story->rig, story->base);
	cut_log_start(&story->log, story->rig.memory, story->rig.bytes);
	story->logs = true;
	for (uint32_t i = 0; done && i < story->length; i++) {
		if (i + 1 == story->length) {
			look(story, &before);
			start = malloc(story->rig.bytes);
			memcpy(start, story->rig.memory, story->rig.bytes);
			first = story->log.count;
		}
		done = cuts_operate(&story->rig, story->steps[i], &story->renamed);
	}
	if (done) {
		look(story, &after);
		story->judgement = (struct judgement){
			.before = &before,
			.after = &after,
			.start = start,
			.worst_cells = CUTS_WEIGHTS * 8 * PULSES_MAX,
			/* Time that was told to pass; the time that jobs take may be forgotten. */
			.least_ns = story->steps[story->length - 1] == AGE ? CUTS_AGE_NS : 0,
		};
		try_cuts(story, first, true);
		story->count->sequences++;
	}
	free(start);
	close_story(story);
	return done;
}

/* All sequences that begin as @story does; of three steps one in @stride. */
static void cut_sequences(struct story *story, uint32_t stride, uint32_t *turn)
{
	for (uint32_t operation = 0; operation < OPERATIONS; operation++) {
		bool done;

		story->steps[story->length] = operation;
		if (story->length + 1 == STEPS_MAX && ++*turn % stride)
			continue;
		story->length++;
		done = cut_last_step(story);
		if (done && story->length < STEPS_MAX)
			cut_sequences(story, stride, turn);
		story->length--;
	}
}

START_TEST(every_cut_recovers)
{
	uint32_t base = (uint32_t)_i % 2, configuration = (uint32_t)_i / 2, turn = 0;
	static const uint32_t stride[][2] = {
		[FEW] = { 32, 256 }, [USUAL] = { 1, 8 }, [ALL] = { 1, 1 }
	};
	const char *wanted = getenv("LF_TEST_CUTS");
	struct count count = { 0 };
	struct story story = {
		.configuration = configuration,
		.base = base,
		.thoroughness = wanted && !strcmp(wanted, "all")   ? ALL
				: wanted && !strcmp(wanted, "few") ? FEW
								   : USUAL,
		.count = &count,
	};

	if (base == 0)
		cut_formatting(&story);
	cut_sequences(&story, stride[story.thoroughness][base], &turn);
	printf("# configuration %u, base %u: %llu sequences, %llu cuts, %llu of recoveries, %llu of "
	       "their recoveries; %llu with a bit turned too, %llu refused\n",
	       configuration, base, (unsigned long long)count.sequences,
	       (unsigned long long)count.cuts[0], (unsigned long long)count.cuts[1],
	       (unsigned long long)count.cuts[2], (unsigned long long)count.damaged,
	       (unsigned long long)count.refused);
	fflush(stdout);
	/* Of all together: more than 10,000, unless few are asked for. */
	ck_assert_uint_gt(count.cuts[0], (base == 0 ? 1000 : 3000) / (story.thoroughness ? 1 : 5));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar cuts");
	TCase *tests = tcase_create("cuts");

	tcase_set_timeout(tests, 3600);
	tcase_add_loop_test(tests, every_cut_recovers, 0, 2 * CONFIGURATIONS);
	suite_add_tcase(suite, tests);
	printf("# seed %llu\n", (unsigned long long)rig_seed());
	return suite_run(suite);
}
