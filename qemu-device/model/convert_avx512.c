// SPDX-License-Identifier: MIT
/*
 * The lossy path with AVX-512. One register holds 8 vectors x 8 bit-cycles, a byte each: the bits with which they drive
 * four rows. Four cells have 16 possible sums; a shuffle looks up 64 of them at once. The sums are unsigned (a
 * bias makes them so), added in bytes as long as they fit, then in words: even bytes, which are the even bit-cycles,
 * and odd ones apart.
 */
#include <immintrin.h>
#include <string.h>

#include "kernels.h"

/* One side of one slice: tables of sums, and what they leave to be done. */
struct slice {
	uint8_t tables[KERNEL_INPUTS / 4 * 16] __attribute__((aligned(64)));
	uint32_t quads;
	uint32_t chain; /* quads whose sums fit a byte */
	int16_t bias;	/* in the sum of all quads */
	int32_t weight; /* of the slice in the result, negative for the negative side */
};

/* Constants of the conversion, in 16-bit lanes. */
struct limits {
	__m512i offset;
	__m512i last_code;
	__m512i half_less_one;
	__m128i shift;
	bool stepped;
};

/* Levels of the cells of 64 weights; @side 1 positive, -1 negative, 0 their difference. */
static __m512i levels(__m512i weights, uint32_t shift, uint32_t mask, int side)
{
	__mmask64 negative = _mm512_movepi8_mask(weights);
	__m512i level = _mm512_and_si512(
		_mm512_srl_epi16(_mm512_abs_epi8(weights), _mm_cvtsi32_si128((int)shift)),
		_mm512_set1_epi8((char)mask));

	if (side > 0)
		return _mm512_maskz_mov_epi8(~negative, level);
	if (side < 0)
		return _mm512_maskz_mov_epi8(negative, level);
	return _mm512_mask_sub_epi8(level, negative, _mm512_setzero_si512(), level);
}

/* The sums of every subset of four cells, for the four quads in @cells (16 bytes). */
static __m512i subset_sums(__m128i cells)
{
	const __m512i quad_a_lane =
		_mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
	__m512i quads = _mm512_permutexvar_epi32(quad_a_lane, _mm512_castsi128_si512(cells));
	/* Entry m takes cell j where bit j of m is set; 0x80 takes none. */
	const __m128i take0 = _mm_set_epi64x(0x0080008000800080, 0x0080008000800080);
	const __m128i take1 = _mm_set_epi64x(0x0101808001018080, 0x0101808001018080);
	const __m128i take2 = _mm_set_epi64x(0x0202020280808080, 0x0202020280808080);
	const __m128i take3 = _mm_set_epi64x(0x0303030303030303, (int64_t)0x8080808080808080);
	__m512i sum01 = _mm512_add_epi8(_mm512_shuffle_epi8(quads, _mm512_broadcast_i32x4(take0)),
					_mm512_shuffle_epi8(quads, _mm512_broadcast_i32x4(take1)));
	__m512i sum23 = _mm512_add_epi8(_mm512_shuffle_epi8(quads, _mm512_broadcast_i32x4(take2)),
					_mm512_shuffle_epi8(quads, _mm512_broadcast_i32x4(take3)));

	return _mm512_add_epi8(sum01, sum23);
}

static void prepare(struct slice *slice, const struct converter *converter, const int8_t *weights,
		    uint32_t quads, uint32_t number, int side)
{
	uint32_t shift = number * converter->cell_bits;
	uint32_t mask = ((1u << converter->cell_bits) - 1) & (127u >> shift);
	uint32_t quad_sum = 4 * mask, bias = side ? 0 : quad_sum;

	slice->quads = quads;
	slice->chain = UINT8_MAX / (quad_sum + bias);
	slice->bias = (int16_t)(bias * quads);
	slice->weight = (side < 0 ? -1 : 1) * (1 << shift);
	for (uint32_t row = 0; row < 4 * quads; row += 64) {
		uint32_t left = 4 * quads - row;
		__mmask64 inside = left >= 64 ? ~0ull : (1ull << left) - 1;
		__m512i cells =
			levels(_mm512_maskz_loadu_epi8(inside, weights + row), shift, mask, side);
		uint8_t *tables = slice->tables + row * 4;
		const __m512i biases = _mm512_set1_epi8((char)bias);

		_mm512_store_si512(
			tables,
			_mm512_add_epi8(subset_sums(_mm512_castsi512_si128(cells)), biases));
		_mm512_store_si512(
			tables + 64,
			_mm512_add_epi8(subset_sums(_mm512_extracti32x4_epi32(cells, 1)), biases));
		_mm512_store_si512(
			tables + 128,
			_mm512_add_epi8(subset_sums(_mm512_extracti32x4_epi32(cells, 2)), biases));
		_mm512_store_si512(
			tables + 192,
			_mm512_add_epi8(subset_sums(_mm512_extracti32x4_epi32(cells, 3)), biases));
	}
}

/* Values of 32 conversions; adds the number that clipped to @clips. */
static inline __m512i convert_sums(const struct limits *limits, __m512i sums, uint64_t *clips)
{
	__m512i above = _mm512_sub_epi16(sums, limits->offset), code = above, kept;

	if (limits->stepped) {
		__m512i odd = _mm512_and_si512(_mm512_sra_epi16(above, limits->shift),
					       _mm512_set1_epi16(1));

		/* Half of the step less one, and one more for an odd quotient, rounds half to even. */
		above = _mm512_add_epi16(above, _mm512_add_epi16(limits->half_less_one, odd));
		code = _mm512_sra_epi16(above, limits->shift);
	}
	kept = _mm512_min_epi16(_mm512_max_epi16(code, _mm512_setzero_si512()), limits->last_code);
	*clips += (uint64_t)__builtin_popcount(_mm512_cmpneq_epi16_mask(kept, code));
	if (limits->stepped)
		kept = _mm512_sll_epi16(kept, limits->shift);
	return _mm512_add_epi16(kept, limits->offset);
}

/* Sums of the even and the odd bit-cycles of one block of vectors: words hold 256 odd + even, modulo 2^16. */
struct cycle_sums {
	__m512i words;
	__m512i odds;
};

static inline void add_bytes(struct cycle_sums *sums, __m512i bytes)
{
	sums->words = _mm512_add_epi16(sums->words, bytes);
	sums->odds = _mm512_add_epi16(sums->odds, _mm512_srli_epi16(bytes, 8));
}

static inline __m512i look_up(__m512i bytes, __m512i table, const uint8_t *lines, uint32_t quad)
{
	__m512i drive = _mm512_loadu_si512(lines + (size_t)quad * 64);

	return _mm512_add_epi8(bytes, _mm512_shuffle_epi8(table, drive));
}

static inline __m512i table_of(const struct slice *slice, uint32_t quad)
{
	return _mm512_broadcast_i32x4(_mm_load_si128((const void *)(slice->tables + 16 * quad)));
}

static void sum_block(const struct slice *slice, const uint8_t *lines, struct cycle_sums *sums)
{
	for (uint32_t first = 0; first < slice->quads; first += slice->chain) {
		uint32_t end = first + slice->chain;
		__m512i bytes = _mm512_setzero_si512();

		if (end > slice->quads)
			end = slice->quads;
		for (uint32_t k = first; k < end; k++)
			bytes = look_up(bytes, table_of(slice, k), lines, k);
		add_bytes(sums, bytes);
	}
}

/* Four blocks together, because tables and lines are loaded as fast as they are looked up. */
static void sum_four_blocks(const struct slice *slice, const uint8_t *lines, size_t line_stride,
			    struct cycle_sums sums[4])
{
	const uint8_t *lines1 = lines + line_stride, *lines2 = lines1 + line_stride;
	const uint8_t *lines3 = lines2 + line_stride;

	for (uint32_t first = 0; first < slice->quads; first += slice->chain) {
		uint32_t end = first + slice->chain;
		__m512i bytes0 = _mm512_setzero_si512(), bytes1 = bytes0;
		__m512i bytes2 = bytes0, bytes3 = bytes0;

		if (end > slice->quads)
			end = slice->quads;
		for (uint32_t k = first; k < end; k++) {
			__m512i table = table_of(slice, k);

			bytes0 = look_up(bytes0, table, lines, k);
			bytes1 = look_up(bytes1, table, lines1, k);
			bytes2 = look_up(bytes2, table, lines2, k);
			bytes3 = look_up(bytes3, table, lines3, k);
		}
		add_bytes(&sums[0], bytes0);
		add_bytes(&sums[1], bytes1);
		add_bytes(&sums[2], bytes2);
		add_bytes(&sums[3], bytes3);
	}
}

/* Adds the value of one slice for one block of vectors to @to. */
static inline void convert_block(const struct slice *slice, const struct limits *limits,
				 const struct cycle_sums *sums, int32_t *to, uint64_t *clips)
{
	/* Bit-cycles 0, 2, 4, 6 and 1, 3, 5, 7; the last one counts negative. */
	const __m512i even_weights = _mm512_set1_epi64(0x0040001000040001);
	const __m512i odd_weights = _mm512_set1_epi64((int64_t)0xff80002000080002);
	const __m512i bias = _mm512_set1_epi16(slice->bias);
	__m512i even = _mm512_sub_epi16(sums->words, _mm512_slli_epi16(sums->odds, 8));
	__m512i odd = _mm512_sub_epi16(sums->odds, bias), value;
	__m256i before = _mm256_loadu_si256((const void *)to);

	even = _mm512_sub_epi16(even, bias);
	value = _mm512_add_epi32(_mm512_madd_epi16(convert_sums(limits, even, clips), even_weights),
				 _mm512_madd_epi16(convert_sums(limits, odd, clips), odd_weights));
	/* Two lanes a vector. */
	value = _mm512_add_epi32(value, _mm512_srli_epi64(value, 32));
	value = _mm512_mullo_epi32(value, _mm512_set1_epi32(slice->weight));
	_mm256_storeu_si256((void *)to, _mm256_add_epi32(before, _mm512_cvtepi64_epi32(value)));
}

static void convert_slice(const struct slice *slice, const struct limits *limits,
			  const uint8_t *lines, size_t line_stride, uint32_t blocks, int32_t *to,
			  uint64_t *clips)
{
	for (; blocks >= 4; blocks -= 4) {
		struct cycle_sums sums[4] = { 0 };

		sum_four_blocks(slice, lines, line_stride, sums);
		for (int i = 0; i < 4; i++, to += KERNEL_VECTORS)
			convert_block(slice, limits, &sums[i], to, clips);
		lines += 4 * line_stride;
	}
	for (; blocks; blocks--, lines += line_stride, to += KERNEL_VECTORS) {
		struct cycle_sums sums = { 0 };

		sum_block(slice, lines, &sums);
		convert_block(slice, limits, &sums, to, clips);
	}
}

uint64_t xbar_convert_avx512(const struct converter *converter, const int8_t *weights,
			     uint32_t quads, const uint8_t *lines, size_t line_stride,
			     uint32_t vectors, int32_t *sums)
{
	const struct limits limits = {
		.offset = _mm512_set1_epi16((int16_t)converter->offset),
		.last_code = _mm512_set1_epi16((int16_t)converter->last_code),
		.half_less_one = _mm512_set1_epi16((int16_t)((1 << converter->shift) / 2 - 1)),
		.shift = _mm_cvtsi32_si128((int)converter->shift),
		.stepped = converter->shift,
	};
	uint32_t parts = converter->after ? 2 * converter->slices : converter->slices;
	uint32_t blocks = (vectors + KERNEL_VECTORS - 1) / KERNEL_VECTORS;
	uint64_t clips = 0;
	struct slice slice;

	for (uint32_t part = 0; part < parts; part++) {
		if (converter->after)
			prepare(&slice, converter, weights, quads, part / 2, part % 2 ? -1 : 1);
		else
			prepare(&slice, converter, weights, quads, part, 0);
		convert_slice(&slice, &limits, lines, line_stride, blocks, sums, &clips);
	}
	return clips;
}
