// SPDX-License-Identifier: MIT
/*
 * Unpacking with AVX-512: each 12 bytes go to a lane of 128 bits, where a shuffle gives each of 8 cells the two bytes that hold it. What
 * VBMI would do in one permutation of bytes are two here, of which every processor with this variant has both.
 */
#include <immintrin.h>

#include "packed.h"

/* Cells of a register, 48 bytes. */
#define STEP 32

void xbar_unpack_avx512(const uint8_t *packed, uint32_t count, uint16_t *cells)
{
	const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 0, 3, 4, 5, 0, 6, 7, 8, 0, 9, 10, 11, 0);
	const __m512i bytes = _mm512_broadcast_i32x4(
		_mm_setr_epi8(0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 10, 10, 11));
	const __m512i shift = _mm512_set1_epi32(4 << 16);
	const __m512i most = _mm512_set1_epi16(PACKED_MOST);

	for (; count >= STEP; count -= STEP, cells += STEP, packed += STEP / 2 * 3) {
		__m512i loaded = _mm512_maskz_loadu_epi32(0x0fff, packed);
		__m512i words = _mm512_shuffle_epi8(_mm512_permutexvar_epi32(lanes, loaded), bytes);

		words = _mm512_and_si512(_mm512_srlv_epi16(words, shift), most);
		_mm512_storeu_si512(cells, words);
	}
	/* Not a masked store: those of words can take longer than all of the above. */
	xbar_unpack_avx2(packed, count, cells);
}
