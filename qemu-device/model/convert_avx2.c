// SPDX-License-Identifier: MIT
/*
 * The lossy path with AVX2, in the manner of xbar_convert_avx512.c: one register holds 4 vectors x 8 bit-cycles.
 */
#include <immintrin.h>
#include <string.h>

#include "kernels.h"

/* One side of one slice: tables of sums, and what they leave to be done. */
struct slice {
	uint8_t tables[KERNEL_INPUTS / 4 * 16] __attribute__((aligned(32)));
	uint32_t quads;
	uint32_t chain; /* quads whose sums fit a byte */
	int16_t bias;	/* in the sum of all quads */
	int32_t weight; /* of the slice in the result, negative for the negative side */
};

/* Constants of the conversion, in 16-bit lanes. */
struct limits {
	__m256i offset;
	__m256i last_code;
	__m256i half_less_one;
	__m128i shift;
	bool stepped;
};

/* Levels of the cells of 32 weights; @side 1 positive, -1 negative, 0 their difference. */
static __m256i levels(__m256i weights, uint32_t shift, uint32_t mask, int side)
{
	__m256i level = _mm256_and_si256(
		_mm256_srl_epi16(_mm256_abs_epi8(weights), _mm_cvtsi32_si128((int)shift)),
		_mm256_set1_epi8((char)mask));
	__m256i negative = _mm256_cmpgt_epi8(_mm256_setzero_si256(), weights);

	if (side > 0)
		return _mm256_andnot_si256(negative, level);
	if (side < 0)
		return _mm256_and_si256(negative, level);
	return _mm256_sign_epi8(level, weights);
}

/* The sums of every subset of four cells, for two quads: 8 bytes at @cells. */
static __m256i subset_sums(const uint8_t *cells)
{
	/* Entry m takes cell j where bit j of m is set; 0x80 takes none. */
	const __m256i take0 = _mm256_set1_epi64x(0x0080008000800080);
	const __m256i take1 = _mm256_set1_epi64x(0x0101808001018080);
	const __m256i take2 = _mm256_set1_epi64x(0x0202020280808080);
	const __m256i take3 = _mm256_set_epi64x(0x0303030303030303, (int64_t)0x8080808080808080,
						0x0303030303030303, (int64_t)0x8080808080808080);
	__m256i quads;
	int32_t pair[2];

	memcpy(pair, cells, sizeof(pair));
	quads = _mm256_set_m128i(_mm_set1_epi32(pair[1]), _mm_set1_epi32(pair[0]));
	return _mm256_add_epi8(_mm256_add_epi8(_mm256_shuffle_epi8(quads, take0),
					       _mm256_shuffle_epi8(quads, take1)),
			       _mm256_add_epi8(_mm256_shuffle_epi8(quads, take2),
					       _mm256_shuffle_epi8(quads, take3)));
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
	for (uint32_t row = 0; row < 4 * quads; row += 32) {
		uint32_t left = 4 * quads - row;
		uint8_t cells[32] __attribute__((aligned(32))) = { 0 };
		uint8_t *tables = slice->tables + row * 4;

		memcpy(cells, weights + row, left < 32 ? left : 32);
		_mm256_store_si256((void *)cells, levels(_mm256_load_si256((const void *)cells),
							 shift, mask, side));
		for (uint32_t pair = 0; pair < 4; pair++)
			_mm256_store_si256((void *)(tables + 32 * pair),
					   _mm256_add_epi8(subset_sums(cells + 8 * pair),
							   _mm256_set1_epi8((char)bias)));
	}
}

/* Values of 16 conversions; adds the number that clipped to @clips. */
static __m256i convert_sums(const struct limits *limits, __m256i sums, uint64_t *clips)
{
	__m256i above = _mm256_sub_epi16(sums, limits->offset), code = above, kept;
	uint32_t same;

	if (limits->stepped) {
		__m256i odd = _mm256_and_si256(_mm256_sra_epi16(above, limits->shift),
					       _mm256_set1_epi16(1));

		/* Half of the step less one, and one more for an odd quotient, rounds half to even. */
		above = _mm256_add_epi16(above, _mm256_add_epi16(limits->half_less_one, odd));
		code = _mm256_sra_epi16(above, limits->shift);
	}
	kept = _mm256_min_epi16(_mm256_max_epi16(code, _mm256_setzero_si256()), limits->last_code);
	same = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi16(kept, code));
	*clips += (uint64_t)__builtin_popcount(~same) / 2;
	if (limits->stepped)
		kept = _mm256_sll_epi16(kept, limits->shift);
	return _mm256_add_epi16(kept, limits->offset);
}

/* Sums of all bit-cycles over the quads of a slice, for four vectors. */
static void sum_lines(const struct slice *slice, const uint8_t *lines, __m256i *even, __m256i *odd)
{
	__m256i words = _mm256_setzero_si256(), odds = words;

	for (uint32_t first = 0; first < slice->quads; first += slice->chain) {
		uint32_t end = first + slice->chain;
		__m256i bytes = _mm256_setzero_si256();

		if (end > slice->quads)
			end = slice->quads;
		for (uint32_t k = first; k < end; k++) {
			__m256i table = _mm256_broadcastsi128_si256(
				_mm_load_si128((const void *)(slice->tables + 16 * k)));
			__m256i drive = _mm256_loadu_si256((const void *)(lines + (size_t)k * 64));

			bytes = _mm256_add_epi8(bytes, _mm256_shuffle_epi8(table, drive));
		}
		/* Words hold 256 odd + even, modulo 2^16. */
		words = _mm256_add_epi16(words, bytes);
		odds = _mm256_add_epi16(odds, _mm256_srli_epi16(bytes, 8));
	}
	*even = _mm256_sub_epi16(_mm256_sub_epi16(words, _mm256_slli_epi16(odds, 8)),
				 _mm256_set1_epi16(slice->bias));
	*odd = _mm256_sub_epi16(odds, _mm256_set1_epi16(slice->bias));
}

/* One slice of four vectors: two 32-bit lanes a vector. */
static __m256i convert_slice(const struct slice *slice, const struct limits *limits,
			     const uint8_t *lines, uint64_t *clips)
{
	/* Bit-cycles 0, 2, 4, 6 and 1, 3, 5, 7; the last one counts negative. */
	const __m256i even_weights = _mm256_set1_epi64x(0x0040001000040001);
	const __m256i odd_weights = _mm256_set1_epi64x((int64_t)0xff80002000080002);
	__m256i even, odd, value;

	sum_lines(slice, lines, &even, &odd);
	value = _mm256_add_epi32(_mm256_madd_epi16(convert_sums(limits, even, clips), even_weights),
				 _mm256_madd_epi16(convert_sums(limits, odd, clips), odd_weights));
	return _mm256_mullo_epi32(value, _mm256_set1_epi32(slice->weight));
}

uint64_t xbar_convert_avx2(const struct converter *converter, const int8_t *weights, uint32_t quads,
			   const uint8_t *lines, size_t line_stride, uint32_t vectors,
			   int32_t *sums)
{
	const __m256i even_lanes = _mm256_set_epi32(6, 4, 2, 0, 6, 4, 2, 0);
	const struct limits limits = {
		.offset = _mm256_set1_epi16((int16_t)converter->offset),
		.last_code = _mm256_set1_epi16((int16_t)converter->last_code),
		.half_less_one = _mm256_set1_epi16((int16_t)((1 << converter->shift) / 2 - 1)),
		.shift = _mm_cvtsi32_si128((int)converter->shift),
		.stepped = converter->shift,
	};
	uint32_t parts = converter->after ? 2 * converter->slices : converter->slices;
	uint64_t clips = 0;
	struct slice slice;

	for (uint32_t part = 0; part < parts; part++) {
		if (converter->after)
			prepare(&slice, converter, weights, quads, part / 2, part % 2 ? -1 : 1);
		else
			prepare(&slice, converter, weights, quads, part, 0);
		for (uint32_t v = 0; v < vectors; v += 4) {
			const uint8_t *block = lines + v / KERNEL_VECTORS * line_stride;
			__m256i pairs = convert_slice(&slice, &limits,
						      block + v % KERNEL_VECTORS * 8, &clips);
			__m256i both = _mm256_add_epi32(pairs, _mm256_srli_epi64(pairs, 32));
			__m128i four = _mm256_castsi256_si128(
				_mm256_permutevar8x32_epi32(both, even_lanes));
			__m128i *to = (void *)(sums + v);

			_mm_storeu_si128(to, _mm_add_epi32(_mm_loadu_si128(to), four));
		}
	}
	return clips;
}
