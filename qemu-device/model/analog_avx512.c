// SPDX-License-Identifier: MIT
/*
 * Reading analog cells with AVX-512. Five cells have 32 possible sums, which fill one register; a permutation looks up 32 of
 * them at once, for 4 vectors x 8 bit-cycles. A column of cells of both sides is summed for all vectors of the run, then noise is
 * drawn for all, then all are converted.
 */
#include <immintrin.h>
#include <string.h>

#include "noise.h"
#include "philox.h"

/* Loops over registers, which are arrays only where they are unrolled. */
#ifdef __clang__
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 8")
#endif

#define TABLE_ROWS  5
#define WORD_TABLES (READING_WORD_ROWS / TABLE_ROWS)

/* Words of the lines whose tables are made together. */
#define CHUNK_WORDS 16
#define TABLES	    (CHUNK_WORDS * WORD_TABLES)

/* Registers of sums of a run: two a block of vectors. */
#define HALVES	    (READING_RUN / READING_VECTORS * 2)

/* Sums of subsets of the cells of a chunk, 32 words a table. */
struct tables {
	__m512i sums[TABLES];
};

/* Sums of squares leave 16 bits: their tables are two, low and high words. */
struct square_tables {
	__m512i low[TABLES];
	__m512i high[TABLES];
};

/* Of a column of both sides: sums, and floats of sums of squares, of cycles 0 to 3 and 4 to 7 apart. */
struct columns {
	__m512i sums[2][HALVES];
	__m512 squares[2][HALVES][2];
};

/* Noise of 32 conversions: of cycles 0 to 3 and of cycles 4 to 7 of four vectors. */
struct noise {
	__m512i parts[2];
};

/*
 * Tables of a column. Of the 15 cells of a word of the lines, words 9t .. 9t + 3 of the pairs are the sums of the subsets of cells 5t and
 * 5t + 1, the next four those of cells 5t + 2 and 5t + 3, the next is cell 5t + 4: three of them make every entry of table t.
 */
static void prepare(const uint16_t *cells, uint32_t rows, struct tables *tables)
{
	/* 15 is no cell. */
	static const uint16_t first[32] = {
		15, 0, 15, 0,  15, 2,  15, 2,  4,  15, 5,  15, 5,  15, 7,  15,
		7,  9, 15, 10, 15, 10, 15, 12, 15, 12, 14, 15, 15, 15, 15, 15,
	};
	static const uint16_t second[32] = {
		15, 15, 1,  1,	15, 15, 3,  3,	15, 15, 15, 6,	6,  15, 15, 8,
		8,  15, 15, 15, 11, 11, 15, 15, 13, 13, 15, 15, 15, 15, 15, 15,
	};
	static const uint16_t parts[3][32] = {
		{ 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,
		  0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3 },
		{ 4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7,
		  4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7 },
		{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		  8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8 },
	};
	__m512i take[WORD_TABLES][3], *table = tables->sums;

	UNROLLED
	for (int t = 0; t < WORD_TABLES; t++) {
		const __m512i first_word = _mm512_set1_epi16((int16_t)(9 * t));

		UNROLLED
		for (int part = 0; part < 3; part++)
			take[t][part] =
				_mm512_add_epi16(_mm512_loadu_si512(parts[part]), first_word);
	}
	for (uint32_t row = 0; row < rows; row += READING_WORD_ROWS, table += WORD_TABLES) {
		uint32_t left = rows - row;
		__mmask32 inside =
			(1u << (left < READING_WORD_ROWS ? left : READING_WORD_ROWS)) - 1;
		__m512i loaded = _mm512_maskz_loadu_epi16(inside, cells + row);
		__m512i pairs = _mm512_add_epi16(
			_mm512_permutexvar_epi16(_mm512_loadu_si512(first), loaded),
			_mm512_permutexvar_epi16(_mm512_loadu_si512(second), loaded));

		UNROLLED
		for (int t = 0; t < WORD_TABLES; t++)
			table[t] = _mm512_add_epi16(
				_mm512_add_epi16(_mm512_permutexvar_epi16(take[t][0], pairs),
						 _mm512_permutexvar_epi16(take[t][1], pairs)),
				_mm512_permutexvar_epi16(take[t][2], pairs));
	}
}

/* Adds to the sums of @blocks (1 or 2) blocks of vectors from two columns at once, because lines are loaded for both. */
static inline void sum_blocks(const struct tables tables[2], uint32_t rows, const uint16_t *lines,
			      size_t line_stride, const int blocks, __m512i *positive,
			      __m512i *negative)
{
	uint32_t count = (rows + TABLE_ROWS - 1) / TABLE_ROWS;
	__m512i sums[2][4], index[4];

	UNROLLED
	for (int i = 0; i < 2 * blocks; i++) {
		sums[0][i] = positive[i];
		sums[1][i] = negative[i];
	}
	for (uint32_t first = 0; first < count; first += WORD_TABLES, lines += READING_LANES) {
		uint32_t end = count - first < WORD_TABLES ? count - first : WORD_TABLES;

		UNROLLED
		for (int i = 0; i < 2 * blocks; i++)
			index[i] = _mm512_loadu_si512(lines + i / 2 * line_stride + i % 2 * 32);
		for (uint32_t t = 0; t < end; t++) {
			__m512i table0 = tables[0].sums[first + t];
			__m512i table1 = tables[1].sums[first + t];

			UNROLLED
			for (int i = 0; i < 2 * blocks; i++) {
				sums[0][i] = _mm512_add_epi16(
					sums[0][i], _mm512_permutexvar_epi16(index[i], table0));
				sums[1][i] = _mm512_add_epi16(
					sums[1][i], _mm512_permutexvar_epi16(index[i], table1));
				index[i] = _mm512_srli_epi16(index[i], TABLE_ROWS);
			}
		}
	}
	UNROLLED
	for (int i = 0; i < 2 * blocks; i++) {
		positive[i] = sums[0][i];
		negative[i] = sums[1][i];
	}
}

static void sum_columns(const struct read *read, const uint16_t *const cells[2],
			struct columns *columns)
{
	uint32_t blocks = (read->vectors + READING_VECTORS - 1) / READING_VECTORS;
	struct tables tables[2];

	memset(columns->sums, 0, sizeof(columns->sums));
	for (uint32_t word = 0; word < READING_WORDS(read->rows); word += CHUNK_WORDS) {
		uint32_t first = word * READING_WORD_ROWS, rows = read->rows - first;
		const uint16_t *lines = read->lines + (size_t)word * READING_LANES;
		__m512i *positive = columns->sums[0], *negative = columns->sums[1];
		uint32_t left = blocks;

		if (rows > CHUNK_WORDS * READING_WORD_ROWS)
			rows = CHUNK_WORDS * READING_WORD_ROWS;
		prepare(cells[0] + first, rows, &tables[0]);
		prepare(cells[1] + first, rows, &tables[1]);
		for (; left >= 2; left -= 2, positive += 4, negative += 4) {
			sum_blocks(tables, rows, lines, read->line_stride, 2, positive, negative);
			lines += 2 * read->line_stride;
		}
		if (left)
			sum_blocks(tables, rows, lines, read->line_stride, 1, positive, negative);
	}
}

/* Tables of sums of squares, 32 bits each, as low and high words. */
static void prepare_squares(const uint16_t *cells, uint32_t rows, struct square_tables *tables)
{
	const __m512i bits = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);

	for (uint32_t first = 0, t = 0; first < rows; first += TABLE_ROWS, t++) {
		__m512i sums[2] = { _mm512_setzero_si512(), _mm512_setzero_si512() };

		for (uint32_t i = 0; i < TABLE_ROWS && first + i < rows; i++) {
			uint32_t cell = cells[first + i];
			__m512i square = _mm512_set1_epi32((int32_t)(cell * cell));
			__mmask16 taken = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(1 << i));

			/* Entries from 16 on are those below with the last cell. */
			sums[0] =
				_mm512_mask_add_epi32(sums[0], i < 4 ? taken : 0, sums[0], square);
			sums[1] = _mm512_mask_add_epi32(sums[1], i < 4 ? taken : 0xffff, sums[1],
							square);
		}
		for (int i = 0; i < 2; i++) {
			_mm256_storeu_si256((__m256i *)&tables->low[t] + i,
					    _mm512_cvtepi32_epi16(sums[i]));
			_mm256_storeu_si256((__m256i *)&tables->high[t] + i,
					    _mm512_cvtepi32_epi16(_mm512_srli_epi32(sums[i], 16)));
		}
	}
}

static void sum_squares(const struct read *read, const uint16_t *cells, __m512 squares[HALVES][2])
{
	uint32_t halves = (read->vectors + READING_VECTORS - 1) / READING_VECTORS * 2;
	__m512i sums[HALVES][2];
	struct square_tables tables;

	memset(sums, 0, sizeof(sums));
	for (uint32_t word = 0; word < READING_WORDS(read->rows); word += CHUNK_WORDS) {
		uint32_t first = word * READING_WORD_ROWS, rows = read->rows - first;

		if (rows > CHUNK_WORDS * READING_WORD_ROWS)
			rows = CHUNK_WORDS * READING_WORD_ROWS;
		prepare_squares(cells + first, rows, &tables);
		for (uint32_t half = 0; half < halves; half++) {
			const uint16_t *lines = read->lines + half / 2 * read->line_stride +
						half % 2 * 32 + (size_t)word * READING_LANES;
			__m512i low = sums[half][0], high = sums[half][1];
			__m512i index = _mm512_setzero_si512();

			for (uint32_t t = 0; t * TABLE_ROWS < rows; t++) {
				__m512i words[2];

				if (t % WORD_TABLES == 0)
					index = _mm512_loadu_si512(lines +
								   t / WORD_TABLES * READING_LANES);
				words[0] = _mm512_permutexvar_epi16(index, tables.low[t]);
				words[1] = _mm512_permutexvar_epi16(index, tables.high[t]);
				low = _mm512_add_epi32(low,
						       _mm512_unpacklo_epi16(words[0], words[1]));
				high = _mm512_add_epi32(high,
							_mm512_unpackhi_epi16(words[0], words[1]));
				index = _mm512_srli_epi16(index, TABLE_ROWS);
			}
			sums[half][0] = low;
			sums[half][1] = high;
		}
	}
	for (uint32_t half = 0; half < halves; half++)
		for (int i = 0; i < 2; i++)
			squares[half][i] = _mm512_cvtepu32_ps(sums[half][i]);
}

/* What is the same for all vectors in the draws of a column of cells: its first two rounds are almost done. */
struct stream {
	uint32_t keys[PHILOX_ROUNDS][2];
	struct draw draw;
	__m512i c0;
	__m512i c2;
	__m512i c3;
};

static void open_stream(struct stream *stream, const struct reading *reading,
			const struct draw *draw)
{
	uint64_t first = (uint64_t)PHILOX_MULTIPLIER_1 * draw->group, second;
	uint32_t c0 = (uint32_t)(first >> 32) ^ draw->column ^ reading->key[0];

	second = (uint64_t)PHILOX_MULTIPLIER_0 * c0;
	stream->draw = *draw;
	stream->c0 = _mm512_set1_epi32((int32_t)(uint32_t)first);
	stream->c2 = _mm512_set1_epi32((int32_t)(uint32_t)(second >> 32));
	stream->c3 = _mm512_set1_epi32((int32_t)(uint32_t)second);
	for (uint32_t round = 0; round < PHILOX_ROUNDS; round++) {
		stream->keys[round][0] = reading->key[0] + round * PHILOX_KEY_STEP_0;
		stream->keys[round][1] = reading->key[1] + round * PHILOX_KEY_STEP_1;
	}
}

static inline __m512i xor3(__m512i a, __m512i b, uint32_t key)
{
	return _mm512_ternarylogic_epi32(a, b, _mm512_set1_epi32((int32_t)key), 0x96);
}

/* Blocks of vectors whose draws are computed together: one alone would wait for its multiplications. */
#define DRAW_BLOCKS 4

/*
 * The bits of @blocks blocks of 8 vectors from @vector on, four vectors a register, a word a cycle. Each vector has a lane of 64
 * bits; what is above the lowest 32 is not looked at.
 */
static inline __attribute__((always_inline)) void
draw_bits(const struct stream *stream, uint32_t vector, const int blocks, __m512i *bits)
{
	const __m512i multiplier0 = _mm512_set1_epi64(PHILOX_MULTIPLIER_0);
	const __m512i multiplier1 = _mm512_set1_epi64(PHILOX_MULTIPLIER_1);
	/* Such that unpacking below gives vectors 0 to 3 and 4 to 7. */
	const __m512i order = _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0);
	__m512i c0[DRAW_BLOCKS], c1[DRAW_BLOCKS], c2[DRAW_BLOCKS], c3[DRAW_BLOCKS];

	UNROLLED
	for (int i = 0; i < blocks; i++) {
		__m512i product0 = _mm512_mul_epu32(
			_mm512_add_epi64(_mm512_set1_epi64(vector + 8 * i), order), multiplier0);
		__m512i product1 =
			_mm512_mul_epu32(_mm512_xor_si512(_mm512_srli_epi64(product0, 32),
							  _mm512_set1_epi64(stream->keys[0][1])),
					 multiplier1);

		c0[i] = xor3(_mm512_srli_epi64(product1, 32), stream->c0, stream->keys[1][0]);
		c1[i] = product1;
		c2[i] = xor3(product0, stream->c2, stream->keys[1][1]);
		c3[i] = stream->c3;
	}
	UNROLLED
	for (int round = 2; round < PHILOX_ROUNDS; round++) {
		const uint32_t *keys = stream->keys[round];

		UNROLLED
		for (int i = 0; i < blocks; i++) {
			__m512i product0 = _mm512_mul_epu32(c0[i], multiplier0);
			__m512i product1 = _mm512_mul_epu32(c2[i], multiplier1);

			c0[i] = xor3(_mm512_srli_epi64(product1, 32), c1[i], keys[0]);
			c1[i] = product1;
			c2[i] = xor3(_mm512_srli_epi64(product0, 32), c3[i], keys[1]);
			c3[i] = product0;
		}
	}
	UNROLLED
	for (int i = 0; i < blocks; i++) {
		__m512i c01 = _mm512_mask_shuffle_epi32(c0[i], 0xaaaa, c1[i], 0x80);
		__m512i c23 = _mm512_mask_shuffle_epi32(c2[i], 0xaaaa, c3[i], 0x80);

		bits[2 * i] = _mm512_unpacklo_epi64(c01, c23);
		bits[2 * i + 1] = _mm512_unpackhi_epi64(c01, c23);
	}
}

static void draw_all_bits(const struct stream *stream, const struct read *read, __m512i *bits)
{
	uint32_t v = 0;

	for (; v + DRAW_BLOCKS * 8 <= read->vectors; v += DRAW_BLOCKS * 8, bits += DRAW_BLOCKS * 2)
		draw_bits(stream, read->vector + v, DRAW_BLOCKS, bits);
	for (; v < read->vectors; v += 8, bits += 2)
		draw_bits(stream, read->vector + v, 1, bits);
}

static inline __m512i look_up(const uint16_t pieces[NOISE_PIECES], __m512i index)
{
	return _mm512_permutex2var_epi16(_mm512_loadu_si512(pieces), index,
					 _mm512_loadu_si512(pieces + 32));
}

/* z of 32 draws; those with a tail below NOISE_RARE are anything. */
static inline __m512i gaussian(__m512i bits)
{
	const struct noise_table *coarse = &xbar_noise_tables[0], *fine = &xbar_noise_tables[1];
	__mmask32 is_fine =
		_mm512_testn_epi16_mask(bits, _mm512_set1_epi16(0x7fff & ~(NOISE_FINE - 1)));
	__m512i index0 = _mm512_srli_epi16(bits, 9), index1 = _mm512_srli_epi16(bits, 4);
	__m512i within = _mm512_mask_slli_epi16(_mm512_slli_epi16(bits, 7), is_fine, bits, 12);
	__m512i value = _mm512_mask_mov_epi16(look_up(coarse->value, index0), is_fine,
					      look_up(fine->value, index1));
	__m512i slope = _mm512_mask_mov_epi16(look_up(coarse->slope, index0), is_fine,
					      look_up(fine->slope, index1));
	__m512i curve = _mm512_mask_mov_epi16(look_up(coarse->curve, index0), is_fine,
					      look_up(fine->curve, index1));

	slope = _mm512_sub_epi16(slope, _mm512_mulhi_epu16(within, curve));
	value = _mm512_sub_epi16(value, _mm512_mulhi_epu16(within, slope));
	return _mm512_mask_sub_epi16(value, _mm512_movepi16_mask(bits), _mm512_setzero_si512(),
				     value);
}

/* Draws that the tables do not have, one by one: one in 4,096. */
static __attribute__((noinline)) void draw_rare(const struct reading *reading,
						const struct stream *stream, uint32_t vector,
						uint32_t rare, __m512i bits, __m512i sigma,
						struct noise *noise)
{
	struct draw draw = stream->draw;
	uint16_t all_bits[32], sigmas[32];
	int32_t parts[2][16];

	_mm512_storeu_si512(all_bits, bits);
	_mm512_storeu_si512(sigmas, sigma);
	memcpy(parts, noise, sizeof(parts));
	for (; rare; rare &= rare - 1) {
		uint32_t lane = (uint32_t)__builtin_ctz(rare);

		draw.vector = vector + lane / 8;
		draw.cycle = lane % 8;
		parts[draw.cycle / 4][lane / 8 * 4 + draw.cycle % 4] =
			xbar_noise_rare(reading, &draw, all_bits[lane], sigmas[lane]);
	}
	memcpy(noise, parts, sizeof(parts));
}

/* Noise of four vectors from @vector on. */
static inline struct noise scale_noise(const struct reading *reading, const struct stream *stream,
				       uint32_t vector, __m512i bits, __m512i sigma)
{
	const __m512i half = _mm512_set1_epi32((int32_t)(1u << reading->noise_shift >> 1));
	const __m128i shift = _mm_cvtsi32_si128((int)reading->noise_shift);
	__m512i z = gaussian(bits);
	__m512i low = _mm512_mullo_epi16(z, sigma), high = _mm512_mulhi_epi16(z, sigma);
	uint32_t rare =
		_mm512_testn_epi16_mask(bits, _mm512_set1_epi16(0x7fff & ~(NOISE_RARE - 1)));
	struct noise noise = { {
		_mm512_sra_epi32(_mm512_add_epi32(_mm512_unpacklo_epi16(low, high), half), shift),
		_mm512_sra_epi32(_mm512_add_epi32(_mm512_unpackhi_epi16(low, high), half), shift),
	} };

	if (__builtin_expect(rare != 0, 0))
		draw_rare(reading, stream, vector, rare, bits, sigma, &noise);
	return noise;
}

static inline __m512i cell_sigma(const struct reading *reading, const __m512 squares[2])
{
	const __m512 scale = _mm512_set1_ps(reading->cell_sigma), most = _mm512_set1_ps(32767.0f);

	return _mm512_packs_epi32(_mm512_cvtps_epi32(_mm512_min_ps(
					  _mm512_mul_ps(_mm512_sqrt_ps(squares[0]), scale), most)),
				  _mm512_cvtps_epi32(_mm512_min_ps(
					  _mm512_mul_ps(_mm512_sqrt_ps(squares[1]), scale), most)));
}

static void draw_noise(const struct reading *reading, const struct read *read,
		       const struct draw *draw, __m512 squares[HALVES][2],
		       struct noise noise[HALVES])
{
	const uint16_t *sigmas = read->lines + (size_t)READING_WORDS(read->rows) * READING_LANES;
	__m512i all_bits[HALVES];
	struct stream stream;

	open_stream(&stream, reading, draw);
	draw_all_bits(&stream, read, all_bits);
	for (uint32_t v = 0; v < read->vectors; v += READING_VECTORS, noise += 2) {
		const __m512i *bits = all_bits + v / READING_VECTORS * 2;
		__m512i sigma[2];

		if (reading->noise == READING_OF_LINES) {
			sigma[0] = _mm512_loadu_si512(sigmas);
			sigma[1] = _mm512_loadu_si512(sigmas + 32);
			sigmas += read->line_stride;
		} else {
			sigma[0] = cell_sigma(reading, squares[0]);
			sigma[1] = cell_sigma(reading, squares[1]);
			squares += 2;
		}
		noise[0] = scale_noise(reading, &stream, read->vector + v, bits[0], sigma[0]);
		noise[1] = scale_noise(reading, &stream, read->vector + v + 4, bits[1], sigma[1]);
	}
}

/* Constants of the conversion, in 32-bit lanes. */
struct limits {
	__m512i rest;
	__m512i half_less_one;
	__m512i odd;
	__m512i one; /* 0 when there is nothing to round */
	__m512i low;
	__m512i high;
	__m128i shift;
};

static struct limits limits_of(const struct reading *reading)
{
	int32_t half = 1 << reading->shift >> 1;

	return (struct limits){
		.rest = _mm512_set1_epi32(reading->rest),
		.half_less_one = _mm512_set1_epi32(half ? half - 1 : 0),
		.odd = _mm512_set1_epi32(half ? reading->odd : 0),
		.one = _mm512_set1_epi32(half ? 1 : 0),
		.low = _mm512_set1_epi32(reading->low),
		.high = _mm512_set1_epi32(reading->high),
		.shift = _mm_cvtsi32_si128((int)reading->shift),
	};
}

static inline __m512i code_of(const struct limits *limits, __m512i sum)
{
	__m512i above = _mm512_sub_epi32(sum, limits->rest);
	/* 0x28: (a ^ b) & c. */
	__m512i odd = _mm512_ternarylogic_epi32(_mm512_sra_epi32(above, limits->shift), limits->odd,
						limits->one, 0x28);

	above = _mm512_add_epi32(_mm512_add_epi32(above, limits->half_less_one), odd);
	return _mm512_sra_epi32(above, limits->shift);
}

static inline __m512i clamp(const struct limits *limits, __m512i code)
{
	return _mm512_min_epi32(_mm512_max_epi32(code, limits->low), limits->high);
}

/* Codes of 32 sums as four parts of a sum for each of four vectors. */
static inline __m512i convert_clipped(const struct limits *limits, const __m512i sums[2],
				      uint64_t *clips)
{
	const __m512i weights = _mm512_set1_epi64(0x0008000400020001);
	const __m512i late_weights = _mm512_set1_epi64((int64_t)0xff80004000200010);
	__m512i codes[2] = { code_of(limits, sums[0]), code_of(limits, sums[1]) };
	__m512i kept[2] = { clamp(limits, codes[0]), clamp(limits, codes[1]) };
	__mmask16 clipped0 = _mm512_cmpneq_epi32_mask(codes[0], kept[0]);
	__mmask16 clipped1 = _mm512_cmpneq_epi32_mask(codes[1], kept[1]);

	*clips += (uint64_t)__builtin_popcount((uint32_t)clipped0 | (uint32_t)clipped1 << 16);
	return _mm512_madd_epi16(_mm512_packs_epi32(kept[0], kept[1]),
				 _mm512_unpacklo_epi64(weights, late_weights));
}

static inline __m512i convert_ideal(const struct limits *limits, const __m512i sums[2])
{
	const __m512i weights = _mm512_broadcast_i32x4(_mm_set_epi32(8, 4, 2, 1));
	const __m512i late_weights = _mm512_broadcast_i32x4(_mm_set_epi32(-128, 64, 32, 16));

	return _mm512_add_epi32(_mm512_mullo_epi32(code_of(limits, sums[0]), weights),
				_mm512_mullo_epi32(code_of(limits, sums[1]), late_weights));
}

/* Words of @sums, unsigned, of cycles 0 to 3 and 4 to 7 apart. */
static inline void widen(__m512i sums, __m512i parts[2])
{
	parts[0] = _mm512_unpacklo_epi16(sums, _mm512_setzero_si512());
	parts[1] = _mm512_unpackhi_epi16(sums, _mm512_setzero_si512());
}

/* Converts one column, or with @negative the difference of two, and adds the codes times 2^@shift, or takes them away. */
static uint64_t convert_column(const struct reading *reading, uint32_t vectors,
			       const __m512i *positive, const __m512i *negative,
			       const struct noise *noise, uint32_t shift, bool take_away,
			       int32_t (*sums)[4])
{
	uint32_t halves = (vectors + READING_VECTORS - 1) / READING_VECTORS * 2;
	const struct limits limits = limits_of(reading);
	const __m128i count = _mm_cvtsi32_si128((int)shift);
	uint64_t clips = 0;

	for (uint32_t half = 0; half < halves; half++, sums += 4) {
		__m512i parts[2], value, before = _mm512_loadu_si512(sums);

		widen(positive[half], parts);
		if (negative) {
			__m512i others[2];

			widen(negative[half], others);
			parts[0] = _mm512_sub_epi32(parts[0], others[0]);
			parts[1] = _mm512_sub_epi32(parts[1], others[1]);
		}
		if (reading->noise != READING_QUIET) {
			parts[0] = _mm512_add_epi32(parts[0], noise[half].parts[0]);
			parts[1] = _mm512_add_epi32(parts[1], noise[half].parts[1]);
		}
		value = reading->ideal ? convert_ideal(&limits, parts)
				       : convert_clipped(&limits, parts, &clips);
		value = _mm512_sll_epi32(value, count);
		_mm512_storeu_si512(sums, take_away ? _mm512_sub_epi32(before, value)
						    : _mm512_add_epi32(before, value));
	}
	return clips;
}

uint64_t xbar_read_avx512(const struct reading *reading, const struct read *read,
			  int32_t (*sums)[4])
{
	struct noise noise[HALVES];
	struct columns columns;
	uint64_t clips = 0;

	for (uint32_t slice = 0; slice < reading->slices; slice++) {
		const uint16_t *positive = read->cells + slice * reading->slice_stride;
		const uint16_t *const cells[2] = { positive, positive + reading->side_stride };
		uint32_t sides = reading->after ? 2 : 1, shift = slice * reading->cell_bits;
		struct draw draw = {
			.vector = read->vector,
			.column = (read->output * reading->slices + slice) * 2,
			.group = read->group,
		};

		sum_columns(read, cells, &columns);
		if (reading->noise == READING_OF_CELLS) {
			sum_squares(read, cells[0], columns.squares[0]);
			sum_squares(read, cells[1], columns.squares[1]);
			for (uint32_t i = 0; !reading->after && i < HALVES; i++)
				for (int part = 0; part < 2; part++)
					columns.squares[0][i][part] =
						_mm512_add_ps(columns.squares[0][i][part],
							      columns.squares[1][i][part]);
		}
		for (uint32_t side = 0; side < sides; side++, draw.column++) {
			if (reading->noise != READING_QUIET)
				draw_noise(reading, read, &draw, columns.squares[side], noise);
			clips += convert_column(reading, read->vectors, columns.sums[side],
						reading->after ? NULL : columns.sums[1], noise,
						shift, side, sums);
		}
	}
	return clips;
}
