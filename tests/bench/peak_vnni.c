// SPDX-License-Identifier: MIT
/*
 * The most int8 products AVX-512 VNNI can do: 16 chains, enough to hide the latency, no memory. And the fastest way to
 * read: whole lines in order.
 */
#include <immintrin.h>

#include "tests/bench/peak.h"

#define CHAINS 16
#define LANES  64

uint64_t peak_int8_vnni(uint64_t rounds)
{
	__m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
	__m512i s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a;
	__m512i s8 = a, s9 = a, s10 = a, s11 = a, s12 = a, s13 = a, s14 = a, s15 = a;

	for (uint64_t i = 0; i < rounds; i++) {
		s0 = _mm512_dpbusd_epi32(s0, a, b);
		s1 = _mm512_dpbusd_epi32(s1, a, b);
		s2 = _mm512_dpbusd_epi32(s2, a, b);
		s3 = _mm512_dpbusd_epi32(s3, a, b);
		s4 = _mm512_dpbusd_epi32(s4, a, b);
		s5 = _mm512_dpbusd_epi32(s5, a, b);
		s6 = _mm512_dpbusd_epi32(s6, a, b);
		s7 = _mm512_dpbusd_epi32(s7, a, b);
		s8 = _mm512_dpbusd_epi32(s8, a, b);
		s9 = _mm512_dpbusd_epi32(s9, a, b);
		s10 = _mm512_dpbusd_epi32(s10, a, b);
		s11 = _mm512_dpbusd_epi32(s11, a, b);
		s12 = _mm512_dpbusd_epi32(s12, a, b);
		s13 = _mm512_dpbusd_epi32(s13, a, b);
		s14 = _mm512_dpbusd_epi32(s14, a, b);
		s15 = _mm512_dpbusd_epi32(s15, a, b);
		/* Keeps the compiler from multiplying once instead of @rounds times. */
		__asm__ volatile("" : "+v"(a), "+v"(b));
	}
	__asm__ volatile(""
			 :
			 : "v"(s0), "v"(s1), "v"(s2), "v"(s3), "v"(s4), "v"(s5), "v"(s6), "v"(s7),
			   "v"(s8), "v"(s9), "v"(s10), "v"(s11), "v"(s12), "v"(s13), "v"(s14),
			   "v"(s15));
	return rounds * CHAINS * LANES;
}

void peak_read_vnni(const uint8_t *memory, uint64_t bytes)
{
	__m512i s0 = _mm512_setzero_si512(), s1 = s0, s2 = s0, s3 = s0;

	for (uint64_t i = 0; i < bytes; i += 256) {
		s0 = _mm512_add_epi64(s0, _mm512_loadu_si512(memory + i));
		s1 = _mm512_add_epi64(s1, _mm512_loadu_si512(memory + i + 64));
		s2 = _mm512_add_epi64(s2, _mm512_loadu_si512(memory + i + 128));
		s3 = _mm512_add_epi64(s3, _mm512_loadu_si512(memory + i + 192));
	}
	__asm__ volatile("" : : "v"(s0), "v"(s1), "v"(s2), "v"(s3));
}
