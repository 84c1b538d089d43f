// SPDX-License-Identifier: MIT
/*
 * What cells do. G is a conductance as a fraction of Gmax; in the order in which it happens to a cell:
 *
 * Born with: a cell is stuck with a probability, for ever, at Gmax or at Gmin (as in MNSIM 2.0), and bears a number of writes
 * and erasures that is distributed lognormally over the cells of a device: exp(N(ln endurance, endurance_spread)). Beyond
 * it the cell is stuck too.
 *
 * Programming: a pulse leaves G at target + N(0, sigma(target)), sigma linear in the target: the form of Milo et al. (IRPS
 * 2021; sigma = 4.78 uS - 0.0091 G) and, with slope 0 or positive, of what Wan et al. (Nature 608, 2022) and Falcone et al. (CMO/HfOx)
 * report. With verifying, a cell is read after each pulse and gets another while it is further than a tolerance from
 * its target, up to a most: an acceptance window with independent pulses, so that pulses are distributed geometrically and accepted
 * errors as a truncated normal distribution. Gmin and Gmax are the ends of the window that the levels use, which a filament
 * knows nothing of: a pulse may leave a cell below or above it. A conductance stays between 0 and 2 Gmax.
 *
 * Relaxation: log-time, as measured by Falcone et al. (mean -0.089 ln t uS, sigma 0.412 + 0.042 ln t uS) and by Wan et al. for
 * RRAM: from relax_start on, G moves by mean ln(t / start) + z (sigma + slope ln(t / start)), sigma and slope polynomials in the
 * target, since cells in the middle of the range are found to move more than those at its ends. z is one draw for a cell and
 * a write, so that a cell goes one way. Phase change memory's power law is not ReRAM's and not modelled.
 *
 * Retention: what differs from Gmin decays exponentially, with a time constant that follows Arrhenius' law from 25 °C.
 *
 * Temperature: conduction itself changes, linearly from 25 °C on; of stuck cells too.
 */
#include "physics.h"

#include <string.h>

#include "maths.h"
#include "philox.h"

/* Streams: the last word of a counter whose key is the seed. Nothing else draws from the seed with these. */
#define STREAM_CELLS	   0x6c6c6563u /* "cell" */
#define STREAM_WRITES	   0x74697277u /* "writ" */

/* No draw of xbar_gaussian() is further from 0. */
#define GAUSSIAN_BOUND	   9.2

/* Largest conductance there is, whatever is drawn; with it sums have a bound, see xbar_physics_fits(). */
#define CEILING		   2.0

/* 25 °C, and Boltzmann's constant. */
#define REFERENCE_KELVIN   298.15
#define BOLTZMANN_EV_PER_K 8.617333262e-5

static double limit(double g)
{
	g = g > 0.0 ? g : 0.0;
	return g < CEILING ? g : CEILING;
}

static double parts(int64_t millionths)
{
	return (double)millionths / XBAR_ONE;
}

/* Below which a draw of 32 bits lies with a probability of @millionths. */
static uint64_t threshold(uint64_t millionths)
{
	if (millionths > XBAR_ONE)
		millionths = XBAR_ONE;
	return (millionths << 32) / XBAR_ONE;
}

/* Where the key of a stream of its own comes from: two words of the seed's. */
static void derive_key(const struct xbar_params *params, uint32_t stream, uint32_t matrix,
		       uint32_t refreshes, uint32_t key[2])
{
	const uint32_t seed[2] = { (uint32_t)params->seed, (uint32_t)(params->seed >> 32) };
	const uint32_t counter[4] = { matrix, refreshes, 0, stream };
	uint32_t block[4];

	xbar_philox(counter, seed, block);
	key[0] = block[0];
	key[1] = block[1];
}

/* The cell in a counter. 10 bits of a row, 13 of a column, 3 of a slice, 1 of a side: see the bounds in params.c. */
static uint32_t first_word(const struct place *place)
{
	return place->row | place->weight << 10 | place->slice << 23 | place->side << 26;
}

/* The block @number of draws of a cell. */
static void draw(const uint32_t key[2], const struct place *place, uint32_t number,
		 uint32_t block[4])
{
	const uint32_t counter[4] = { first_word(place), place->tile, number, 0 };

	xbar_philox(counter, key, block);
}

static double gaussian(const uint32_t words[2])
{
	return xbar_gaussian(words[0] | (uint64_t)words[1] << 32);
}

static void born_with(const struct xbar_params *params, uint32_t stuck_parts,
		      struct physics *physics)
{
	derive_key(params, STREAM_CELLS, 0, 0, physics->cell_key);
	physics->stuck_on = threshold(params->stuck_on);
	physics->stuck_off = threshold((uint64_t)params->stuck_on + params->stuck_off);
	physics->stuck_made =
		threshold((uint64_t)params->stuck_on + params->stuck_off + stuck_parts);
	physics->worn_on = threshold(params->worn_on);
	physics->median = 0.0;
	physics->unworn = UINT32_MAX;
	if (params->endurance == XBAR_INFINITE)
		return;
	physics->median = (double)params->endurance;
	physics->spread = parts(params->endurance_spread);
	physics->unworn = (uint32_t)(physics->median * xbar_exp(-GAUSSIAN_BOUND * physics->spread));
}

static double retention_left(const struct xbar_params *params, const struct history *history)
{
	double kelvin = 273.15 + history->temperature_mc / 1000.0, time_constant_ns;

	if (params->retention_s == XBAR_INFINITE)
		return 1.0;
	time_constant_ns = (double)params->retention_s * 1e9 *
			   xbar_exp(params->retention_activation_mev / 1000.0 / BOLTZMANN_EV_PER_K *
				    (1.0 / kelvin - 1.0 / REFERENCE_KELVIN));
	return xbar_exp(-(double)history->age_ns / time_constant_ns);
}

void xbar_physics_of(const struct xbar_params *params, const struct history *history,
		     struct physics *physics)
{
	uint32_t last = (1u << params->cell_bits) - 1;
	double start_ns = params->relax_start_ms * 1e6, age_ns = (double)history->age_ns;
	double folds = age_ns > start_ns ? xbar_log(age_ns / start_ns) : 0.0;

	*physics = (struct physics){ .tolerance = -1.0, .most_pulses = 1 };
	physics->draws = xbar_draws_choose(params->simd);
	if (params->on_off_ratio != XBAR_INFINITE)
		physics->g_min = (double)XBAR_ONE / (double)params->on_off_ratio;
	physics->step = (1.0 - physics->g_min) / last;
	for (uint32_t level = 0; level <= last; level++) {
		double target = physics->g_min + level * physics->step;
		double sigma =
			parts(params->program_sigma) + parts(params->program_sigma_slope) * target;

		physics->target[level] = target;
		physics->sigma[level] = sigma > 0.0 ? sigma : 0.0;
		physics->relax_sigma[level] = xbar_params_relax_sigma(params, target) +
					      xbar_params_relax_slope(params, target) * folds;
	}
	physics->programs = params->program_sigma || params->program_sigma_slope;
	if (params->verify_tolerance) {
		physics->tolerance = parts(params->verify_tolerance);
		physics->most_pulses = params->verify_pulses;
	}
	physics->relaxes = xbar_params_relaxes(params);
	physics->relax_shift = parts(params->relax_mean) * folds;
	physics->kept = retention_left(params, history);
	physics->warmth = 1.0 + parts(params->temperature_coefficient) *
					(history->temperature_mc / 1000.0 - 25.0);
	if (physics->warmth < 0.0)
		physics->warmth = 0.0;
	derive_key(params, STREAM_WRITES, history->matrix, history->refreshes, physics->write_key);
	born_with(params, history->stuck_parts, physics);
}

static uint32_t endurance_of(const struct physics *physics, const uint32_t words[2])
{
	double endurance = physics->median;

	if (!physics->median)
		return UINT32_MAX;
	if (physics->spread)
		endurance *= xbar_exp(physics->spread * gaussian(words));
	return endurance < UINT32_MAX ? (uint32_t)endurance : UINT32_MAX;
}

/* The words of the block: two of the endurance, whether it is stuck, how it ends when worn. */
static uint16_t stuck_by(const struct physics *physics, uint32_t wear, const uint32_t block[4])
{
	if (block[2] < physics->stuck_on)
		return LF_CELL_STUCK_ON;
	if (block[2] < physics->stuck_off)
		return LF_CELL_STUCK_OFF;
	/* Made to be stuck: either way as often. More of them are the same ones and others. */
	if (block[2] < physics->stuck_made)
		return block[2] & 1 ? LF_CELL_STUCK_ON : LF_CELL_STUCK_OFF;
	if (wear <= physics->unworn || wear <= endurance_of(physics, block))
		return 0;
	return LF_CELL_WORN | (block[3] < physics->worn_on ? LF_CELL_STUCK_ON : LF_CELL_STUCK_OFF);
}

static uint16_t stuck_at(const struct physics *physics, const struct place *place, uint32_t wear)
{
	uint32_t block[4];

	if (!physics->stuck_made && wear <= physics->unworn)
		return 0;
	draw(physics->cell_key, place, 0, block);
	return stuck_by(physics, wear, block);
}

static bool accepts(const struct physics *physics, double g, double target)
{
	return physics->tolerance < 0.0 || __builtin_fabs(g - target) <= physics->tolerance;
}

/* Pulse after pulse; @block has the draws of the first. Returns the conductance after the last of them. */
static double program(const struct physics *physics, const struct place *place, uint32_t level,
		      uint32_t block[4], struct cell *cell)
{
	double target = physics->target[level], sigma = physics->sigma[level], g = target;
	uint32_t pulse;

	cell->flags = 0;
	for (pulse = 1;; pulse++) {
		if (physics->programs) {
			const uint32_t *words = block + 2;

			/* Two pulses a block, but for the first, which shares its own with relaxation. */
			if (pulse > 1 && pulse % 2 == 0)
				draw(physics->write_key, place, pulse / 2, block);
			if (pulse > 1)
				words = block + pulse % 2 * 2;
			g = limit(target + sigma * gaussian(words));
		}
		if (accepts(physics, g, target))
			break;
		if (pulse == physics->most_pulses) {
			cell->flags = LF_CELL_FAILED;
			break;
		}
	}
	cell->pulses = (uint16_t)pulse;
	return g;
}

/* A stuck cell verifies at its first pulse or never. */
static void program_stuck(const struct physics *physics, uint32_t level, uint16_t stuck,
			  struct cell *cell)
{
	double g = stuck & LF_CELL_STUCK_ON ? 1.0 : physics->g_min;
	bool accepted = accepts(physics, g, physics->target[level]);

	cell->flags = stuck | (accepted ? 0 : LF_CELL_FAILED);
	cell->pulses = accepted ? 1 : (uint16_t)physics->most_pulses;
	cell->conductance = limit(g * physics->warmth);
}

/* What time and temperature do to a conductance; @z is the draw of relaxation, @sigma its spread. */
static double age(const struct physics *physics, double g, double sigma, double z)
{
	if (physics->relaxes)
		g += physics->relax_shift + sigma * z;
	return limit((physics->g_min + (limit(g) - physics->g_min) * physics->kept) *
		     physics->warmth);
}

static void at(const struct physics *physics, const struct place *place, uint32_t wear,
	       uint32_t level, struct cell *cell)
{
	uint16_t stuck = stuck_at(physics, place, wear);
	uint32_t block[4] = { 0 };
	double g, z = 0.0;

	if (stuck) {
		program_stuck(physics, level, stuck, cell);
		return;
	}
	if (physics->programs || physics->relaxes)
		draw(physics->write_key, place, 0, block);
	if (physics->relaxes)
		z = gaussian(block);
	g = program(physics, place, level, block, cell);
	cell->conductance = age(physics, g, physics->relax_sigma[level], z);
}

void xbar_physics_at(const struct physics *physics, const struct place *place, uint32_t wear,
		     uint32_t level, struct cell *cell)
{
	at(physics, place, wear, level, cell);
	cell->endurance = UINT32_MAX;
	if (physics->median) {
		uint32_t block[4];

		draw(physics->cell_key, place, 0, block);
		cell->endurance = endurance_of(physics, block);
	}
}

/**
 * struct column - a column of cells
 * @first: first words of the counters of its draws
 * @targets: of its cells
 * @sigmas: of their pulses
 * @relax_sigmas: of their relaxation
 * @g: conductances
 * @written: may be NULL
 */
struct column {
	uint32_t first[DRAWS_MAX];
	double targets[DRAWS_MAX];
	double sigmas[DRAWS_MAX];
	double relax_sigmas[DRAWS_MAX];
	double g[DRAWS_MAX];
	struct draws draws;
	struct written *written;
};

/* The pulses after the first of cells that did not verify, two a block; cells that have verified leave. */
static void column_retries(const struct physics *physics, const struct place *place, uint32_t rows,
			   struct column *column)
{
	uint32_t first[DRAWS_MAX], waiting = 0;
	uint16_t at[DRAWS_MAX];
	double z[2][DRAWS_MAX];

	for (uint32_t row = 0; row < rows; row++)
		if (!accepts(physics, column->g[row], column->targets[row])) {
			if (column->written)
				column->written->failed[row] = true;
			first[waiting] = column->first[row];
			at[waiting++] = (uint16_t)row;
		}
	for (uint32_t pulse = 2; waiting && pulse <= physics->most_pulses; pulse += 2) {
		const uint32_t rest[3] = { place->tile, pulse / 2, 0 };
		uint32_t still = 0;

		physics->draws->blocks(first, rest, physics->write_key, waiting, &column->draws);
		for (int i = 0; i < 2; i++)
			physics->draws->gaussians(column->draws.words[2 * i],
						  column->draws.words[2 * i + 1], waiting, z[i]);
		for (uint32_t k = 0; k < waiting; k++) {
			uint32_t row = at[k];
			double target = column->targets[row], sigma = column->sigmas[row];
			double g = limit(target + sigma * z[0][k]);
			uint16_t used = (uint16_t)pulse;
			bool accepted = accepts(physics, g, target);

			if (!accepted && pulse < physics->most_pulses) {
				g = limit(target + sigma * z[1][k]);
				accepted = accepts(physics, g, target);
				used++;
			}
			column->g[row] = g;
			if (column->written) {
				column->written->pulses[row] = used;
				column->written->failed[row] = !accepted;
			}
			if (accepted)
				continue;
			first[still] = first[k];
			at[still++] = (uint16_t)row;
		}
		waiting = still;
	}
}

static void column_write(const struct physics *physics, const struct place *place, uint32_t rows,
			 struct column *column)
{
	const uint32_t rest[3] = { place->tile, 0, 0 };
	double relax[DRAWS_MAX];

	if (physics->programs || physics->relaxes)
		physics->draws->blocks(column->first, rest, physics->write_key, rows,
				       &column->draws);
	if (physics->relaxes)
		physics->draws->gaussians(column->draws.words[0], column->draws.words[1], rows,
					  relax);
	else
		memset(relax, 0, rows * sizeof(*relax));
	if (physics->programs) {
		physics->draws->gaussians(column->draws.words[2], column->draws.words[3], rows,
					  column->g);
		for (uint32_t row = 0; row < rows; row++)
			column->g[row] =
				limit(column->targets[row] + column->sigmas[row] * column->g[row]);
		if (physics->tolerance >= 0.0)
			column_retries(physics, place, rows, column);
	} else {
		memcpy(column->g, column->targets, rows * sizeof(*column->g));
	}
	for (uint32_t row = 0; row < rows; row++)
		column->g[row] =
			age(physics, column->g[row], column->relax_sigmas[row], relax[row]);
}

/* Faults of a column, LF_CELL_*; false when none of its cells can have any. */
static bool column_faults(const struct physics *physics, const struct place *place,
			  const uint32_t *wear, uint32_t rows, uint16_t *faults)
{
	const uint32_t rest[3] = { place->tile, 0, 0 };
	uint32_t first[DRAWS_MAX];
	struct draws draws;
	uint32_t most = 0;

	for (uint32_t row = 0; row < rows; row++)
		most = wear[row] > most ? wear[row] : most;
	if (!rows || (!physics->stuck_made && most <= physics->unworn))
		return false;
	for (uint32_t row = 0; row < rows; row++)
		first[row] = first_word(place) + row;
	physics->draws->blocks(first, rest, physics->cell_key, rows, &draws);
	for (uint32_t row = 0; row < rows; row++) {
		const uint32_t block[4] = { draws.words[0][row], draws.words[1][row],
					    draws.words[2][row], draws.words[3][row] };

		faults[row] = 0;
		if (block[2] < physics->stuck_made || wear[row] > physics->unworn)
			faults[row] = stuck_by(physics, wear[row], block);
	}
	return true;
}

static void column_stuck(const struct physics *physics, const struct place *place,
			 const uint32_t *wear, const uint8_t *levels, uint32_t rows,
			 struct column *column)
{
	uint16_t faults[DRAWS_MAX];

	if (!column_faults(physics, place, wear, rows, faults))
		return;
	for (uint32_t row = 0; row < rows; row++) {
		struct cell cell;

		if (!faults[row])
			continue;
		program_stuck(physics, levels[row], faults[row], &cell);
		column->g[row] = cell.conductance;
		if (column->written) {
			column->written->pulses[row] = cell.pulses;
			column->written->failed[row] = cell.flags & LF_CELL_FAILED;
		}
	}
}

uint32_t xbar_physics_count_stuck(const struct physics *physics, const struct place *place,
				  const uint32_t *wear, uint32_t rows)
{
	uint16_t faults[DRAWS_MAX];
	uint32_t count = 0;

	if (!column_faults(physics, place, wear, rows, faults))
		return 0;
	for (uint32_t row = 0; row < rows; row++)
		count += faults[row] != 0;
	return count;
}

void xbar_physics_column(const struct physics *physics, const struct place *place,
			 const uint32_t *wear, const uint8_t *levels, uint32_t rows,
			 double *conductances, struct written *written)
{
	struct column column;

	column.written = written;
	for (uint32_t row = 0; row < rows; row++) {
		if (written) {
			written->pulses[row] = 1;
			written->failed[row] = false;
		}
		column.first[row] = first_word(place) + row;
		column.targets[row] = physics->target[levels[row]];
		column.sigmas[row] = physics->sigma[levels[row]];
		column.relax_sigmas[row] = physics->relax_sigma[levels[row]];
	}
	column_write(physics, place, rows, &column);
	column_stuck(physics, place, wear, levels, rows, &column);
	memcpy(conductances, column.g, rows * sizeof(*conductances));
}

double xbar_physics_erased(const struct physics *physics, const struct place *place, uint32_t wear)
{
	double g = stuck_at(physics, place, wear) & LF_CELL_STUCK_ON ? 1.0 : physics->g_min;

	return limit(g * physics->warmth);
}

double xbar_physics_bound(const struct physics *physics)
{
	double bound = 1.0, relaxation = 0.0;

	for (uint32_t level = 0; level < PHYSICS_LEVELS; level++) {
		double top = physics->target[level] + GAUSSIAN_BOUND * physics->sigma[level];

		bound = top > bound ? top : bound;
		if (physics->relax_sigma[level] > relaxation)
			relaxation = physics->relax_sigma[level];
	}
	bound += (physics->relax_shift > 0.0 ? physics->relax_shift : 0.0) +
		 GAUSSIAN_BOUND * relaxation;
	return limit(bound * physics->warmth);
}

bool xbar_physics_fits(const struct xbar_params *params)
{
	double g_min = params->on_off_ratio == XBAR_INFINITE
			       ? 0.0
			       : (double)XBAR_ONE / (double)params->on_off_ratio;

	return params->format == LF_FORMAT_FP32 ||
	       CEILING / (1.0 - g_min) * xbar_params_full_scale(params) + 1.0 < UINT16_MAX;
}

bool xbar_physics_is_exact(const struct xbar_params *params, uint32_t stuck_parts,
			   int32_t temperature_mc)
{
	if (params->format == LF_FORMAT_FP32)
		return true;
	return params->on_off_ratio == XBAR_INFINITE && !params->program_sigma &&
	       !params->program_sigma_slope && !xbar_params_relaxes(params) &&
	       params->retention_s == XBAR_INFINITE && !params->stuck_on && !params->stuck_off &&
	       !stuck_parts && params->endurance == XBAR_INFINITE &&
	       (!params->temperature_coefficient || temperature_mc == 25000);
}

uint32_t xbar_physics_level(const struct xbar_params *params, uint32_t slice, double conductance)
{
	uint32_t left = 7 - slice * params->cell_bits;
	uint32_t bits = left < params->cell_bits ? left : params->cell_bits;
	double g_min = params->on_off_ratio == XBAR_INFINITE
			       ? 0.0
			       : (double)XBAR_ONE / (double)params->on_off_ratio;
	double level = (conductance - g_min) / (1.0 - g_min) * ((1u << params->cell_bits) - 1);
	uint32_t last = (1u << bits) - 1;

	if (level < 0.5)
		return 0;
	return level < last ? (uint32_t)(level + 0.5) : last;
}

uint64_t xbar_physics_age(const struct xbar_params *params, uint64_t age_ns, uint64_t *next_ns)
{
	uint64_t start_ns = params->relax_start_ms * 1000000ull, width = 1, first;

	*next_ns = UINT64_MAX;
	if (!xbar_params_drifts(params) && params->retention_s == XBAR_INFINITE)
		return 0;
	if (age_ns < start_ns) {
		*next_ns = start_ns;
		return 0;
	}
	if (age_ns >= 8)
		width = 1ull << (60 - __builtin_clzll(age_ns));
	first = age_ns / width * width;
	if (first <= UINT64_MAX - width)
		*next_ns = first + width;
	return first > start_ns ? first : start_ns;
}
