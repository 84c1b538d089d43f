// SPDX-License-Identifier: MIT
/*
 * Unpacking with AVX2: 8 cells a lane of 128 bits. A shuffle gives each cell the two bytes that hold it; multiplying moves the even
 * ones up to where the odd ones are.
 */
#include <immintrin.h>

#include "packed.h"

/* Cells of a register, 24 bytes. */
#define STEP 16

void xbar_unpack_avx2(const uint8_t *packed, uint32_t count, uint16_t *cells)
{
	/* The second half begins 12 bytes on: loaded from 8 on, it ends with the 24 bytes. */
	const __m256i bytes = _mm256_setr_epi8(0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 10, 10, 11, 4,
					       5, 5, 6, 7, 8, 8, 9, 10, 11, 11, 12, 13, 14, 14, 15);
	const __m256i up = _mm256_set1_epi32(1 << 16 | 16);

	for (; count >= STEP; count -= STEP, cells += STEP, packed += STEP / 2 * 3) {
		__m256i halves = _mm256_set_m128i(_mm_loadu_si128((const void *)(packed + 8)),
						  _mm_loadu_si128((const void *)packed));
		__m256i words = _mm256_mullo_epi16(_mm256_shuffle_epi8(halves, bytes), up);

		_mm256_storeu_si256((void *)cells, _mm256_srli_epi16(words, 4));
	}
	xbar_unpack_scalar(packed, count, cells);
}
