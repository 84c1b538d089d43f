// SPDX-License-Identifier: MIT
/*
 * Reading analog cells with AVX2, in the manner of analog_avx512.c: one register holds the words of 2 vectors x 8 bit-cycles, and
 * shuffles look up the sums of four cells, the low and the high byte apart; a fifth cell is masked.
 */
#include <immintrin.h>
#include <string.h>

#include "noise.h"
#include "philox.h"

#define TABLE_ROWS	 5

/* Words of the lines whose tables are made together. */
#define CHUNK_WORDS	 16
#define TABLES		 (CHUNK_WORDS * READING_WORD_ROWS / TABLE_ROWS)

/* Registers of a run: four a block of vectors. */
#define QUARTERS	 (READING_RUN / READING_VECTORS * 4)
#define QUARTER_WORDS	 16
#define QUARTERS_A_BLOCK 4

/* Bytes of the sums of the 16 subsets of four cells, lowest byte first, and the fifth cell. */
struct table {
	uint8_t bytes[4][16];
	uint32_t last;
};

/* Of a column of both sides: sums, and sums of squares of cycles 0 to 3 and 4 to 7 apart. */
struct columns {
	__m256i sums[2][QUARTERS];
	__m256i squares[2][QUARTERS][2];
};

/* Noise of 16 conversions: of cycles 0 to 3 and of cycles 4 to 7 of two vectors. */
struct noise {
	__m256i parts[2];
};

/* Tables of the cells, or of their squares. */
static void prepare(const uint16_t *cells, uint32_t rows, bool squares, struct table *tables)
{
	for (uint32_t first = 0; first < rows; first += TABLE_ROWS, tables++) {
		uint32_t value[TABLE_ROWS] = { 0 };

		for (uint32_t i = 0; i < TABLE_ROWS && first + i < rows; i++)
			value[i] = squares ? (uint32_t)cells[first + i] * cells[first + i]
					   : cells[first + i];
		for (uint32_t entry = 0; entry < 16; entry++) {
			uint32_t sum = 0;

			for (uint32_t i = 0; i < 4; i++)
				sum += entry >> i & 1 ? value[i] : 0;
			for (uint32_t byte = 0; byte < 4; byte++)
				tables->bytes[byte][entry] = (uint8_t)(sum >> 8 * byte);
		}
		tables->last = value[4];
	}
}

/* What shuffles take from 16 index words: their lowest four bits as low and as high bytes, and where the fifth is set. */
struct index {
	__m256i low;
	__m256i high;
	__m256i last;
};

static inline struct index index_of(__m256i words)
{
	__m256i four = _mm256_and_si256(words, _mm256_set1_epi16(0x000f));

	return (struct index){
		.low = _mm256_or_si256(four, _mm256_set1_epi16((int16_t)0x8000)),
		.high = _mm256_or_si256(_mm256_slli_epi16(four, 8), _mm256_set1_epi16(0x0080)),
		.last = _mm256_srai_epi16(_mm256_slli_epi16(words, 11), 15),
	};
}

/* Words of two bytes of a table, without the fifth cell. */
static inline __m256i look_up(const struct table *table, int byte, const struct index *index)
{
	__m256i low =
		_mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)table->bytes[byte]));
	__m256i high =
		_mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)table->bytes[byte + 1]));

	return _mm256_or_si256(_mm256_shuffle_epi8(low, index->low),
			       _mm256_shuffle_epi8(high, index->high));
}

static inline __m256i last_cell(uint32_t last, const struct index *index)
{
	return _mm256_and_si256(index->last, _mm256_set1_epi16((int16_t)last));
}

static void add_cells(const struct table tables[2][TABLES], uint32_t rows, const uint16_t *lines,
		      __m256i *positive, __m256i *negative)
{
	__m256i sums[2] = { *positive, *negative }, words = _mm256_setzero_si256();

	for (uint32_t t = 0; t * TABLE_ROWS < rows; t++) {
		struct index index;

		if (t * TABLE_ROWS % READING_WORD_ROWS == 0) {
			words = _mm256_loadu_si256((const void *)lines);
			lines += READING_LANES;
		}
		index = index_of(words);
		for (int side = 0; side < 2; side++) {
			const struct table *table = &tables[side][t];

			sums[side] = _mm256_add_epi16(sums[side], look_up(table, 0, &index));
			sums[side] = _mm256_add_epi16(sums[side], last_cell(table->last, &index));
		}
		words = _mm256_srli_epi16(words, TABLE_ROWS);
	}
	*positive = sums[0];
	*negative = sums[1];
}

static inline void add_words(__m256i sums[2], __m256i low, __m256i high)
{
	sums[0] = _mm256_add_epi32(sums[0], _mm256_unpacklo_epi16(low, high));
	sums[1] = _mm256_add_epi32(sums[1], _mm256_unpackhi_epi16(low, high));
}

static void add_squares(const struct table *tables, uint32_t rows, const uint16_t *lines,
			__m256i squares[2])
{
	__m256i sums[2] = { squares[0], squares[1] }, words = _mm256_setzero_si256();

	for (uint32_t t = 0; t * TABLE_ROWS < rows; t++) {
		struct index index;

		if (t * TABLE_ROWS % READING_WORD_ROWS == 0) {
			words = _mm256_loadu_si256((const void *)lines);
			lines += READING_LANES;
		}
		index = index_of(words);
		add_words(sums, look_up(&tables[t], 0, &index), look_up(&tables[t], 2, &index));
		add_words(sums, last_cell(tables[t].last, &index),
			  last_cell(tables[t].last >> 16, &index));
		words = _mm256_srli_epi16(words, TABLE_ROWS);
	}
	squares[0] = sums[0];
	squares[1] = sums[1];
}

static const uint16_t *quarter_of(const struct read *read, uint32_t quarter)
{
	return read->lines + quarter / QUARTERS_A_BLOCK * read->line_stride +
	       quarter % QUARTERS_A_BLOCK * QUARTER_WORDS;
}

static void sum_columns(const struct read *read, const uint16_t *const cells[2], bool squares,
			struct columns *columns)
{
	uint32_t quarters = (read->vectors + 1) / 2;
	struct table tables[2][TABLES];

	memset(columns, 0, sizeof(*columns));
	for (uint32_t word = 0; word < READING_WORDS(read->rows); word += CHUNK_WORDS) {
		uint32_t first = word * READING_WORD_ROWS, rows = read->rows - first;
		size_t offset = (size_t)word * READING_LANES;

		if (rows > CHUNK_WORDS * READING_WORD_ROWS)
			rows = CHUNK_WORDS * READING_WORD_ROWS;
		prepare(cells[0] + first, rows, false, tables[0]);
		prepare(cells[1] + first, rows, false, tables[1]);
		for (uint32_t i = 0; i < quarters; i++)
			add_cells(tables, rows, quarter_of(read, i) + offset, &columns->sums[0][i],
				  &columns->sums[1][i]);
		for (int side = 0; squares && side < 2; side++) {
			prepare(cells[side] + first, rows, true, tables[side]);
			for (uint32_t i = 0; i < quarters; i++)
				add_squares(tables[side], rows, quarter_of(read, i) + offset,
					    columns->squares[side][i]);
		}
	}
}

static inline __m256i xor3(__m256i a, __m256i b, uint32_t key)
{
	return _mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_set1_epi32((int32_t)key));
}

/* The bits of 4 vectors from @draw's on, two a register, a word a cycle. Each vector has a lane of 64 bits, of which the lowest 32 count. */
static inline void draw_bits(const struct reading *reading, const struct draw *draw,
			     uint32_t vector, __m256i bits[2])
{
	const __m256i multiplier0 = _mm256_set1_epi64x(PHILOX_MULTIPLIER_0);
	const __m256i multiplier1 = _mm256_set1_epi64x(PHILOX_MULTIPLIER_1);
	/* Such that unpacking below gives vectors 0 and 1, and 2 and 3. */
	const __m256i order = _mm256_set_epi64x(3, 1, 2, 0);
	__m256i c0 = _mm256_add_epi64(_mm256_set1_epi64x(vector), order);
	__m256i c1 = _mm256_set1_epi64x(draw->column), c2 = _mm256_set1_epi64x(draw->group);
	__m256i c3 = _mm256_setzero_si256(), c01, c23;

	for (uint32_t round = 0; round < PHILOX_ROUNDS; round++) {
		__m256i product0 = _mm256_mul_epu32(c0, multiplier0);
		__m256i product1 = _mm256_mul_epu32(c2, multiplier1);

		c0 = xor3(_mm256_srli_epi64(product1, 32), c1,
			  reading->key[0] + round * PHILOX_KEY_STEP_0);
		c1 = product1;
		c2 = xor3(_mm256_srli_epi64(product0, 32), c3,
			  reading->key[1] + round * PHILOX_KEY_STEP_1);
		c3 = product0;
	}
	c01 = _mm256_blend_epi32(c0, _mm256_slli_epi64(c1, 32), 0xaa);
	c23 = _mm256_blend_epi32(c2, _mm256_slli_epi64(c3, 32), 0xaa);
	bits[0] = _mm256_unpacklo_epi64(c01, c23);
	bits[1] = _mm256_unpackhi_epi64(c01, c23);
}

/* z of 8 draws of 16 bits; those with a tail below NOISE_RARE are anything. */
static inline __m256i gaussian(__m256i bits)
{
	enum { TABLE_WORDS = sizeof(struct noise_table) / sizeof(uint16_t) };
	const uint16_t *values = xbar_noise_tables[0].value, *slopes = xbar_noise_tables[0].slope;
	/* Gathers take 32 bits: of the last array, the word before comes with it. */
	const uint16_t *curves = slopes + NOISE_PIECES - 1;
	const __m256i word = _mm256_set1_epi32(0xffff);
	__m256i tail = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fff));
	__m256i fine = _mm256_cmpgt_epi32(_mm256_set1_epi32(NOISE_FINE), tail);
	__m256i pieces = _mm256_blendv_epi8(
		_mm256_srli_epi32(tail, 9),
		_mm256_add_epi32(_mm256_srli_epi32(tail, 4), _mm256_set1_epi32(TABLE_WORDS)), fine);
	__m256i within = _mm256_and_si256(
		_mm256_blendv_epi8(_mm256_slli_epi32(tail, 7), _mm256_slli_epi32(tail, 12), fine),
		word);
	__m256i value =
		_mm256_and_si256(_mm256_i32gather_epi32((const void *)values, pieces, 2), word);
	__m256i slope =
		_mm256_and_si256(_mm256_i32gather_epi32((const void *)slopes, pieces, 2), word);
	__m256i curve =
		_mm256_srli_epi32(_mm256_i32gather_epi32((const void *)curves, pieces, 2), 16);

	slope = _mm256_sub_epi32(slope, _mm256_srli_epi32(_mm256_mullo_epi32(within, curve), 16));
	value = _mm256_sub_epi32(value, _mm256_srli_epi32(_mm256_mullo_epi32(within, slope), 16));
	/* Bit 15 is the sign; the lowest bit keeps 0 from being signless. */
	return _mm256_sign_epi32(
		value, _mm256_or_si256(_mm256_slli_epi32(bits, 16), _mm256_set1_epi32(1)));
}

/* Draws that the tables do not have, one by one: one in 4,096. */
static __attribute__((noinline)) __m256i draw_rare(const struct reading *reading, struct draw draw,
						   uint32_t rare, __m256i bits, __m256i sigma,
						   __m256i noise)
{
	uint32_t all_bits[8], sigmas[8], vector = draw.vector, cycle = draw.cycle;
	int32_t values[8];

	_mm256_storeu_si256((void *)all_bits, bits);
	_mm256_storeu_si256((void *)sigmas, sigma);
	_mm256_storeu_si256((void *)values, noise);
	for (; rare; rare &= rare - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(rare);

		draw.vector = vector + lane / 4;
		draw.cycle = cycle + lane % 4;
		values[lane] = xbar_noise_rare(reading, &draw, all_bits[lane], sigmas[lane]);
	}
	return _mm256_loadu_si256((const void *)values);
}

/* Noise of two vectors in four cycles, from those of @draw on. */
static inline __m256i scale_noise(const struct reading *reading, const struct draw *draw,
				  __m256i bits, __m256i sigma)
{
	const __m256i half = _mm256_set1_epi32((int32_t)(1u << reading->noise_shift >> 1));
	const __m128i shift = _mm_cvtsi32_si128((int)reading->noise_shift);
	__m256i tail = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fff));
	__m256i is_rare = _mm256_cmpgt_epi32(_mm256_set1_epi32(NOISE_RARE), tail);
	uint32_t rare = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(is_rare));
	__m256i product = _mm256_mullo_epi32(gaussian(bits), sigma);
	__m256i noise = _mm256_sra_epi32(_mm256_add_epi32(product, half), shift);

	return __builtin_expect(rare != 0, 0) ? draw_rare(reading, *draw, rare, bits, sigma, noise)
					      : noise;
}

/* The nearest floats of unsigned numbers: each half is exact. */
static inline __m256 floats_of(__m256i numbers)
{
	__m256 high = _mm256_cvtepi32_ps(_mm256_srli_epi32(numbers, 16));
	__m256 low = _mm256_cvtepi32_ps(_mm256_and_si256(numbers, _mm256_set1_epi32(0xffff)));

	return _mm256_add_ps(_mm256_mul_ps(high, _mm256_set1_ps(65536.0f)), low);
}

static inline __m256i cell_sigma(const struct reading *reading, __m256 squares)
{
	__m256 sigma = _mm256_mul_ps(_mm256_sqrt_ps(squares), _mm256_set1_ps(reading->cell_sigma));

	return _mm256_cvtps_epi32(_mm256_min_ps(sigma, _mm256_set1_ps(32767.0f)));
}

static void draw_noise(const struct reading *reading, const struct read *read, struct draw draw,
		       uint32_t side, const struct columns *columns, struct noise noise[QUARTERS])
{
	size_t sigmas = (size_t)READING_WORDS(read->rows) * READING_LANES;
	const __m256i zero = _mm256_setzero_si256();
	__m256i bits[2];

	for (uint32_t i = 0; i * 2 < read->vectors; i++) {
		__m256i sigma[2];

		if (i % 2 == 0)
			draw_bits(reading, &draw, read->vector + 2 * i, bits);
		if (reading->noise == READING_OF_LINES) {
			__m256i words =
				_mm256_loadu_si256((const void *)(quarter_of(read, i) + sigmas));

			sigma[0] = _mm256_unpacklo_epi16(words, zero);
			sigma[1] = _mm256_unpackhi_epi16(words, zero);
		} else {
			for (int part = 0; part < 2; part++) {
				__m256 squares = floats_of(columns->squares[side][i][part]);

				if (!reading->after)
					squares = _mm256_add_ps(
						squares, floats_of(columns->squares[1][i][part]));
				sigma[part] = cell_sigma(reading, squares);
			}
		}
		draw.vector = read->vector + 2 * i;
		draw.cycle = 0;
		noise[i].parts[0] = scale_noise(reading, &draw,
						_mm256_unpacklo_epi16(bits[i % 2], zero), sigma[0]);
		draw.cycle = 4;
		noise[i].parts[1] = scale_noise(reading, &draw,
						_mm256_unpackhi_epi16(bits[i % 2], zero), sigma[1]);
	}
}

/* Constants of the conversion, in 32-bit lanes. */
struct limits {
	__m256i rest;
	__m256i half_less_one;
	__m256i odd;
	__m256i one; /* 0 when there is nothing to round */
	__m256i low;
	__m256i high;
	__m128i shift;
};

static struct limits limits_of(const struct reading *reading)
{
	int32_t half = 1 << reading->shift >> 1;

	return (struct limits){
		.rest = _mm256_set1_epi32(reading->rest),
		.half_less_one = _mm256_set1_epi32(half ? half - 1 : 0),
		.odd = _mm256_set1_epi32(half ? reading->odd : 0),
		.one = _mm256_set1_epi32(half ? 1 : 0),
		.low = _mm256_set1_epi32(reading->low),
		.high = _mm256_set1_epi32(reading->high),
		.shift = _mm_cvtsi32_si128((int)reading->shift),
	};
}

static inline __m256i code_of(const struct limits *limits, __m256i sum)
{
	__m256i above = _mm256_sub_epi32(sum, limits->rest);
	__m256i odd = _mm256_and_si256(
		_mm256_xor_si256(_mm256_sra_epi32(above, limits->shift), limits->odd), limits->one);

	above = _mm256_add_epi32(_mm256_add_epi32(above, limits->half_less_one), odd);
	return _mm256_sra_epi32(above, limits->shift);
}

static inline __m256i clamp(const struct limits *limits, __m256i code, uint64_t *clips)
{
	__m256i kept = _mm256_min_epi32(_mm256_max_epi32(code, limits->low), limits->high);
	__m256 same = _mm256_castsi256_ps(_mm256_cmpeq_epi32(code, kept));

	*clips += 8 - (uint64_t)__builtin_popcount((uint32_t)_mm256_movemask_ps(same));
	return kept;
}

/* Codes of 16 sums as four parts of a sum for each of two vectors. */
static inline __m256i convert_clipped(const struct limits *limits, const __m256i sums[2],
				      uint64_t *clips)
{
	const __m256i weights =
		_mm256_set_epi16(-128, 64, 32, 16, 8, 4, 2, 1, -128, 64, 32, 16, 8, 4, 2, 1);
	__m256i early = clamp(limits, code_of(limits, sums[0]), clips);
	__m256i late = clamp(limits, code_of(limits, sums[1]), clips);

	return _mm256_madd_epi16(_mm256_packs_epi32(early, late), weights);
}

static inline __m256i convert_ideal(const struct limits *limits, const __m256i sums[2])
{
	const __m256i weights = _mm256_set_epi32(8, 4, 2, 1, 8, 4, 2, 1);
	const __m256i late_weights = _mm256_set_epi32(-128, 64, 32, 16, -128, 64, 32, 16);

	return _mm256_add_epi32(_mm256_mullo_epi32(code_of(limits, sums[0]), weights),
				_mm256_mullo_epi32(code_of(limits, sums[1]), late_weights));
}

/* Converts a column of @side, or the difference of both, and adds the codes times 2^@shift, or takes them away. */
static uint64_t convert_column(const struct reading *reading, uint32_t vectors,
			       const struct columns *columns, uint32_t side,
			       const struct noise *noise, uint32_t shift, int32_t (*sums)[4])
{
	const struct limits limits = limits_of(reading);
	const __m128i count = _mm_cvtsi32_si128((int)shift);
	const __m256i zero = _mm256_setzero_si256();
	uint64_t clips = 0;

	for (uint32_t i = 0; i * 2 < vectors; i++, sums += 2) {
		__m256i before = _mm256_loadu_si256((const void *)sums), value;
		__m256i parts[2] = { _mm256_unpacklo_epi16(columns->sums[side][i], zero),
				     _mm256_unpackhi_epi16(columns->sums[side][i], zero) };

		if (!reading->after) {
			parts[0] = _mm256_sub_epi32(
				parts[0], _mm256_unpacklo_epi16(columns->sums[1][i], zero));
			parts[1] = _mm256_sub_epi32(
				parts[1], _mm256_unpackhi_epi16(columns->sums[1][i], zero));
		}
		if (reading->noise != READING_QUIET) {
			parts[0] = _mm256_add_epi32(parts[0], noise[i].parts[0]);
			parts[1] = _mm256_add_epi32(parts[1], noise[i].parts[1]);
		}
		value = reading->ideal ? convert_ideal(&limits, parts)
				       : convert_clipped(&limits, parts, &clips);
		value = _mm256_sll_epi32(value, count);
		value = side ? _mm256_sub_epi32(before, value) : _mm256_add_epi32(before, value);
		_mm256_storeu_si256((void *)sums, value);
	}
	return clips;
}

uint64_t xbar_read_avx2(const struct reading *reading, const struct read *read, int32_t (*sums)[4])
{
	struct noise noise[QUARTERS];
	struct columns columns;
	uint64_t clips = 0;

	for (uint32_t slice = 0; slice < reading->slices; slice++) {
		const uint16_t *positive = read->cells + slice * reading->slice_stride;
		const uint16_t *const cells[2] = { positive, positive + reading->side_stride };
		uint32_t sides = reading->after ? 2 : 1, shift = slice * reading->cell_bits;
		struct draw draw = {
			.column = (read->output * reading->slices + slice) * 2,
			.group = read->group,
		};

		sum_columns(read, cells, reading->noise == READING_OF_CELLS, &columns);
		for (uint32_t side = 0; side < sides; side++, draw.column++) {
			if (reading->noise != READING_QUIET)
				draw_noise(reading, read, draw, side, &columns, noise);
			clips += convert_column(reading, read->vectors, &columns, side, noise,
						shift, sums);
		}
	}
	return clips;
}
