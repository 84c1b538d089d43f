// SPDX-License-Identifier: MIT
/*
 * Names, units and bounds of the parameters, and their values as text. What follows from them and what they may not be together is
 * in params_check.c, the presets are in presets.c, files of parameters in params_file.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "message.h"
#include "params.h"

enum kind { U32, U64, I32, WORD, PARTS, SIGNED_PARTS, BIG_PARTS };

/**
 * struct key - one parameter
 * @kind: of the field: PARTS, SIGNED_PARTS and BIG_PARTS are decimal numbers, kept as millionths in 32 bits, unsigned or signed,
 *	or in 64; @low and @high are millionths too
 * @word: value that is a word, or the words of a WORD parameter in the order of their numbers, separated by spaces
 * @word_value: what @word stands for
 */
struct key {
	const char *name;
	const char *unit;
	const char *help;
	enum kind kind;
	size_t offset;
	int64_t low;
	int64_t high;
	const char *word;
	uint64_t word_value;
};

#define KEY(field, kind, unit, low, high, help)                                                   \
	{                                                                                         \
#field, unit, help, kind, offsetof(struct xbar_params, field), low, high, NULL, 0 \
	}
#define KEY_OR(field, kind, unit, low, high, word, value, help)                                 \
	{                                                                                       \
#field, unit, help, kind, offsetof(struct xbar_params, field), low, high, word, \
			value                                                                   \
	}

/* Most of a coefficient of a polynomial. */
#define COEFFICIENT (10 * XBAR_ONE)

static const struct key keys[] = {
	KEY(tiles, U32, "", 1, 1 << 24, "tiles of the device; fixed by its backing store"),
	KEY(tile_rows, U32, "", 4, KERNEL_GROUP, "rows of a tile, a multiple of 4 (ISAAC: 128)"),
	KEY(tile_cols, U32, "", 8, 4 * KERNEL_GROUP, "columns of cells of a tile (ISAAC: 128)"),
	KEY(cell_bits, U32, "bit", 1, 7,
	    "bits of a cell (ISAAC: 2); with 7 a weight is one pair of cells (NeuRRAM)"),
	KEY(matrices, U32, "", 1, 65536, "entries of the directory"),
	KEY(accounts, U32, "", 1, 65536, "entries of the ledger"),
	KEY_OR(pair, WORD, "", 0, 1, "columns rows", 0,
	       "where the two cells of a weight lie: in columns of their own, or in rows driven with opposite "
	       "voltages (NeuRRAM)"),
	KEY(spare_weights, U32, "", 0, 64,
	    "spare columns of weights of a tile, on top of tile_cols"),
	KEY(wear_rows, U32, "", 1, KERNEL_GROUP,
	    "rows whose wear is counted together; fixed by the backing store"),
	KEY(dac_bits, U32, "bit", 1, 1, "bits driven a cycle: inputs are bit-serial (ISAAC: 1)"),
	KEY_OR(adc_bits, U32, "bit", 1, 12, "ideal", XBAR_ADC_IDEAL,
	       "resolution of the converters, or ideal for none lost (ISAAC: 8)"),
	KEY(adc_step, U32, "level", 1, XBAR_STEP_MAX,
	    "step of the converters until a matrix is calibrated, a power of two"),
	KEY_OR(adc_offset, I32, "level", -16383, 0, "auto", (uint64_t)XBAR_OFFSET_AUTO,
	       "sum that gives code 0; auto centres signed sums and is 0 for unsigned ones"),
	KEY(adc_columns, U32, "", 1, 4096, "columns that share a converter (ISAAC: 128)"),
	KEY_OR(adc_subtract, WORD, "", 0, 1, "before after", 0,
	       "where the sums of a pair are subtracted: before or after conversion (ISAAC "
	       "converts every column: after)"),
	KEY_OR(adc_range, WORD, "", 0, 1, "fixed maximum", 0,
	       "step of matrices that are not calibrated: adc_step, or the smallest with which no levels clip"),
	KEY(matrix_rows, U32, "", 1, XBAR_DIMENSION_MAX, "most rows of a matrix"),
	KEY(matrix_cols, U32, "", 1, XBAR_DIMENSION_MAX, "most columns of a matrix"),
	KEY(batch, U32, "", 1, 65536, "most vectors of a command"),
	KEY(commands, U32, "", 1, 4096, "most commands of a job"),
	KEY(scratch_bytes, U32, "byte", 0, 1 << 30, "most scratch of a job"),
	KEY_OR(default_quota, U64, "cell", 0, INT64_MAX, "unlimited", XBAR_UNLIMITED,
	       "cells that a new account may write"),
	KEY(read_ns, U32, "ns", 0, 1000000, "one bit-cycle of an array (ISAAC: 100)"),
	KEY(adc_ps, U32, "ps", 0, 1000000000, "one conversion (ISAAC: 781, 1.28 GS/s)"),
	KEY(program_row_ns, U32, "ns", 0, 1000000000,
	    "writing a row of cells of a tile (PUMA: 11 us an array of 128)"),
	KEY(erase_tile_ns, U32, "ns", 0, 1000000000, "erasing a tile (PUMA's write of an array)"),
	KEY(array_energy_aj, U64, "aJ", 0, 1000000000000,
	    "reading a tile for one cycle (ISAAC: 0.3 mW x 100 ns)"),
	KEY(dac_energy_aj, U64, "aJ", 0, 1000000000000,
	    "driving a line for one cycle (ISAAC: 3.9 uW x 100 ns)"),
	KEY_OR(adc_energy_aj, U64, "aJ", 0, 1000000000000, "auto", XBAR_ENERGY_AUTO,
	       "one conversion; auto follows adc_bits (ISAAC, PUMA: 1.56 pJ at 8 bits)"),
	KEY(shift_add_energy_aj, U64, "aJ", 0, 1000000000000,
	    "shifting and adding one code (ISAAC: 0.2 mW for 1,024 a cycle)"),
	KEY(multiply_energy_aj, U64, "aJ", 0, 1000000000000,
	    "an fp32 multiplication (Horowitz 2014: 3.7 pJ)"),
	KEY(add_energy_aj, U64, "aJ", 0, 1000000000000, "an fp32 addition (Horowitz 2014: 0.9 pJ)"),
	KEY(scratch_energy_aj, U64, "aJ", 0, 1000000000000,
	    "a byte from or to scratch (Horowitz 2014: 10 pJ for 64 bits)"),
	KEY(program_energy_aj, U64, "aJ", 0, 1000000000000000,
	    "writing a cell (PUMA: 22.6 nJ an array of 128x128)"),
	KEY(erase_energy_aj, U64, "aJ", 0, 1000000000000000, "erasing a cell (as writing it)"),
	KEY(static_power_nw, U64, "nW", 0, 1000000000000,
	    "leakage of the device (ISAAC's figures include it: 0)"),
	KEY(seed, U64, "", 0, INT64_MAX, "of everything that is drawn at random"),
	KEY(g_max_ns, U64, "nS", 1, 1000000000, "largest conductance of a cell"),
	KEY_OR(on_off_ratio, BIG_PARTS, "", 1100000, 1000000000000000, "infinite", XBAR_INFINITE,
	       "largest conductance over the smallest"),
	KEY(program_sigma, PARTS, "Gmax", 0, XBAR_ONE, "spread of a pulse around its target"),
	KEY(program_sigma_slope, SIGNED_PARTS, "", -XBAR_ONE, XBAR_ONE,
	    "change of that spread with the target's conductance"),
	KEY(verify_tolerance, PARTS, "Gmax", 0, XBAR_ONE,
	    "distance from the target that is accepted; 0 for one pulse without verifying"),
	KEY(verify_pulses, U32, "", 1, 1000, "most pulses of a cell in one write"),
	KEY(verify_energy_aj, U64, "aJ", 0, 1000000000000000, "verifying a cell once"),
	KEY(verify_row_ns, U32, "ns", 0, 1000000000, "verifying a row of cells of a tile once"),
	KEY(read_noise, PARTS, "", 0, XBAR_ONE,
	    "standard deviation of a cell's current from read to read"),
	KEY_OR(read_noise_of, WORD, "", 0, 1, "range conductance", 0,
	       "what read_noise is a fraction of: the largest conductance, or the cell's own"),
	KEY(relax_mean, SIGNED_PARTS, "Gmax", -XBAR_ONE, XBAR_ONE,
	    "mean drift for each factor e of age beyond relax_start_ms"),
	KEY(relax_sigma, PARTS, "Gmax", 0, XBAR_ONE, "spread of relaxation at relax_start_ms"),
	KEY(relax_sigma_g1, SIGNED_PARTS, "Gmax", -COEFFICIENT, COEFFICIENT,
	    "what it is more for a target of Gmax, in proportion to the target"),
	KEY(relax_sigma_g2, SIGNED_PARTS, "Gmax", -COEFFICIENT, COEFFICIENT, "with its square"),
	KEY(relax_sigma_g3, SIGNED_PARTS, "Gmax", -COEFFICIENT, COEFFICIENT, "with its cube"),
	KEY(relax_sigma_g4, SIGNED_PARTS, "Gmax", -COEFFICIENT, COEFFICIENT,
	    "with its fourth power"),
	KEY(relax_sigma_slope, PARTS, "Gmax", 0, XBAR_ONE,
	    "growth of that spread for each factor e of age"),
	KEY(relax_sigma_slope_g1, SIGNED_PARTS, "Gmax", -COEFFICIENT, COEFFICIENT,
	    "what it is more for a target of Gmax, in proportion to the target"),
	KEY(relax_sigma_slope_g2, SIGNED_PARTS, "Gmax", -COEFFICIENT, COEFFICIENT,
	    "with its square"),
	KEY(relax_sigma_slope_g3, SIGNED_PARTS, "Gmax", -COEFFICIENT, COEFFICIENT, "with its cube"),
	KEY(relax_sigma_slope_g4, SIGNED_PARTS, "Gmax", -COEFFICIENT, COEFFICIENT,
	    "with its fourth power"),
	KEY(relax_start_ms, U32, "ms", 1, 1000000000, "age from which relaxation is counted"),
	KEY_OR(retention_s, U64, "s", 1, 1000000000000, "infinite", XBAR_INFINITE,
	       "time in which a cell loses 63 % of its conductance at 25 °C"),
	KEY(retention_activation_mev, U32, "meV", 0, 5000, "activation energy of that loss"),
	KEY_OR(refresh_s, U64, "s", 1, 1000000000000, "never", XBAR_INFINITE,
	       "age at which a matrix is due for a refresh"),
	KEY(stuck_on, PARTS, "", 0, XBAR_ONE, "share of cells stuck at the largest conductance"),
	KEY(stuck_off, PARTS, "", 0, XBAR_ONE, "share of cells stuck at the smallest conductance"),
	KEY_OR(retire_cells, U32, "", 0, INT32_MAX, "never", UINT32_MAX,
	       "stuck cells beyond which a tile is retired when it is erased"),
	KEY_OR(endurance, U64, "", 1, UINT32_MAX - 1, "infinite", XBAR_INFINITE,
	       "writes and erasures that half of the cells bear"),
	KEY(endurance_spread, PARTS, "", 0, 5 * XBAR_ONE,
	    "standard deviation of its natural logarithm"),
	KEY(worn_on, PARTS, "", 0, XBAR_ONE,
	    "share of worn cells that are stuck at the largest conductance"),
	KEY_OR(wear_warning, U64, "", 1, UINT32_MAX, "never", XBAR_INFINITE,
	       "wear of a row group that raises an event"),
	KEY(temperature_mc, I32, "m°C", -55000, 150000, "temperature of the die"),
	KEY(temperature_max_mc, I32, "m°C", -55000, 200000, "temperature that raises an event"),
	KEY(temperature_critical_mc, I32, "m°C", -55000, 200000,
	    "temperature from which work is refused"),
	KEY(temperature_coefficient, SIGNED_PARTS, "1/K", -XBAR_ONE, XBAR_ONE,
	    "change of conductance with temperature, from 25 °C on"),
	KEY_OR(ir_drop, WORD, "", 0, 2, "off fast exact", 0,
	       "voltage lost along the wires: not modelled, approximated, or by nodal analysis"),
	KEY(wire_mohm, U32, "mOhm", 0, 1000000000, "resistance of a wire from cell to cell"),
	KEY(driver_mohm, U32, "mOhm", 0, 1000000000, "resistance of a driver"),
	KEY(sense_mohm, U32, "mOhm", 0, 1000000000, "resistance of a converter's input"),
	KEY_OR(simd, WORD, "", 0, 3, "auto scalar avx2 avx512", 0,
	       "instructions to compute with; the results are the same"),
};

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

_Static_assert(KEY_COUNT <= XBAR_KEYS_MAX, "a bit of struct xbar_params.given each");

int xbar_params_describe(uint32_t index, const char **key, const char **unit, const char **help)
{
	if (index >= KEY_COUNT)
		return -ENOENT;
	*key = keys[index].name;
	*unit = keys[index].unit;
	*help = keys[index].help;
	return 0;
}

/* Number of @value in a list of words separated by spaces, or -1. */
static int find_word(const char *words, const char *value)
{
	size_t length = strlen(value);

	for (int index = 0;; index++) {
		size_t word_length = strcspn(words, " ");

		if (length && word_length == length && !memcmp(words, value, length))
			return index;
		words += word_length;
		if (!*words)
			return -1;
		words++;
	}
}

static uint64_t load(const struct xbar_params *params, const struct key *key)
{
	const char *field = (const char *)params + key->offset;
	uint32_t narrow;
	uint64_t value;

	if (key->kind == U64 || key->kind == BIG_PARTS) {
		memcpy(&value, field, sizeof(value));
		return value;
	}
	memcpy(&narrow, field, sizeof(narrow));
	/* Signed ones keep their sign. */
	return key->kind == I32 || key->kind == SIGNED_PARTS ? (uint64_t)(int32_t)narrow : narrow;
}

static void store(struct xbar_params *params, const struct key *key, uint64_t value)
{
	char *field = (char *)params + key->offset;

	if (key->kind == U64 || key->kind == BIG_PARTS) {
		memcpy(field, &value, sizeof(value));
	} else {
		uint32_t narrow = (uint32_t)value;

		memcpy(field, &narrow, sizeof(narrow));
	}
}

/*
 * Reads a decimal number of at most six places as millionths, without the C library's locale: digits, a point, digits,
 * no exponent. 0, -EINVAL, -ERANGE.
 */
static int parse_parts(const char *text, long long *parts)
{
	bool negative = *text == '-', any = false;
	long long number = 0, unit = XBAR_ONE;

	text += negative;
	for (; *text >= '0' && *text <= '9'; text++, any = true) {
		if (number > INT64_MAX / 10 / XBAR_ONE - 10)
			return -ERANGE;
		number = 10 * number + (*text - '0');
	}
	number *= XBAR_ONE;
	if (*text == '.')
		for (text++; *text >= '0' && *text <= '9'; text++, any = true) {
			unit /= 10;
			if (!unit && *text != '0')
				return -EINVAL;
			number += unit * (*text - '0');
		}
	if (!any || *text)
		return -EINVAL;
	*parts = negative ? -number : number;
	return 0;
}

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < KEY_COUNT; i++)
		if (!strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

static int set_parts(struct xbar_params *params, const struct key *key, const char *value,
		     char *message)
{
	long long parts;
	int error = parse_parts(value, &parts);

	if (error == -EINVAL)
		return xbar_refuse(message, error,
				   "%s: '%.64s' is not a number of at most six decimal places%s%s",
				   key->name, value, key->word ? " or " : "",
				   key->word ? key->word : "");
	if (error || parts < key->low || parts > key->high)
		return xbar_refuse(message, -ERANGE, "%s: %.64s is not in %g .. %g", key->name,
				   value, (double)key->low / XBAR_ONE,
				   (double)key->high / XBAR_ONE);
	store(params, key, (uint64_t)parts);
	return 0;
}

bool xbar_params_given(const struct xbar_params *params, const char *name)
{
	const struct key *key = find_key(name);

	return key && params->given[(key - keys) / 64] >> (key - keys) % 64 & 1;
}

static int set_value(struct xbar_params *params, const struct key *key, const char *value,
		     char *message)
{
	const char *name = key->name;
	char *end;
	long long number;

	if (key->kind == WORD) {
		int index = find_word(key->word, value);

		if (index < 0)
			return xbar_refuse(message, -EINVAL, "%s: '%.64s' is none of: %s", name,
					   value, key->word);
		store(params, key, (uint64_t)index);
		return 0;
	}
	if (key->word && !strcmp(value, key->word)) {
		store(params, key, key->word_value);
		return 0;
	}
	if (key->kind == PARTS || key->kind == SIGNED_PARTS || key->kind == BIG_PARTS)
		return set_parts(params, key, value, message);
	errno = 0;
	number = strtoll(value, &end, 10);
	if (end == value || *end || *value == ' ')
		return xbar_refuse(message, -EINVAL, "%s: '%.64s' is not a whole number%s%s", name,
				   value, key->word ? " or " : "", key->word ? key->word : "");
	if (errno == ERANGE || number < key->low || number > key->high)
		return xbar_refuse(message, -ERANGE, "%s: %.64s is not in %lld .. %lld", name,
				   value, (long long)key->low, (long long)key->high);
	store(params, key, (uint64_t)number);
	return 0;
}

int xbar_params_set(struct xbar_params *params, const char *name, const char *value,
		    char message[XBAR_MESSAGE_BYTES])
{
	const struct key *key = find_key(name);
	int error;

	if (!key)
		return xbar_refuse(message, -ENOENT, "%.64s: no such parameter", name);
	error = set_value(params, key, value, message);
	if (!error)
		params->given[(key - keys) / 64] |= 1ull << (key - keys) % 64;
	return error;
}

/* Millionths as a decimal number without zeros at its end. */
static void print_parts(long long parts, char value[XBAR_MESSAGE_BYTES])
{
	unsigned long long size =
		parts < 0 ? 0 - (unsigned long long)parts : (unsigned long long)parts;
	int length = snprintf(value, XBAR_MESSAGE_BYTES, "%s%llu.%06llu", parts < 0 ? "-" : "",
			      size / XBAR_ONE, size % XBAR_ONE);

	while (value[length - 1] == '0')
		value[--length] = '\0';
	if (value[length - 1] == '.')
		value[length - 1] = '\0';
}

int xbar_params_get(const struct xbar_params *params, const char *name,
		    char value[XBAR_MESSAGE_BYTES])
{
	const struct key *key = find_key(name);
	uint64_t number;

	if (!key)
		return -ENOENT;
	number = load(params, key);
	if (key->kind == WORD) {
		const char *word = key->word;

		for (; number; number--)
			word += strcspn(word, " ") + 1;
		snprintf(value, XBAR_MESSAGE_BYTES, "%.*s", (int)strcspn(word, " "), word);
	} else if (key->word && number == key->word_value) {
		snprintf(value, XBAR_MESSAGE_BYTES, "%s", key->word);
	} else if (key->kind == PARTS || key->kind == SIGNED_PARTS || key->kind == BIG_PARTS) {
		print_parts((long long)number, value);
	} else if (key->kind == I32) {
		snprintf(value, XBAR_MESSAGE_BYTES, "%lld", (long long)number);
	} else {
		snprintf(value, XBAR_MESSAGE_BYTES, "%llu", (unsigned long long)number);
	}
	return 0;
}
