// SPDX-License-Identifier: MIT
/*
 * The 16 lanes in plain C, the reference of the other instruction sets; body.h has the kernels.
 * Every primitive is a loop that a compiler can turn into whatever vectors it may assume.
 */
#include <stdint.h>
#include <string.h>

#include "runtime/simd/number.h"
#include "runtime/simd/simd.h"

#define SIMD_ISA   LF_SIMD_SCALAR
#define SIMD_TABLE lf_simd_ops_scalar
#define SIMD_DOTS  4
#define SIMD_ROWS  4

typedef struct {
	float lane[LF_SIMD_LANES];
} vec;

#define FOR_LANES(l) for (int l = 0; l < LF_SIMD_LANES; l++)

static inline vec vec_set(float value)
{
	vec result;

	FOR_LANES(l) result.lane[l] = value;
	return result;
}

static inline vec vec_load(const float *from)
{
	vec result;

	memcpy(result.lane, from, sizeof(result.lane));
	return result;
}

static inline vec vec_load_partial(const float *from, size_t count)
{
	vec result = { { 0 } };

	memcpy(result.lane, from, count * sizeof(float));
	return result;
}

static inline void vec_store(float *to, vec a)
{
	memcpy(to, a.lane, sizeof(a.lane));
}

static inline void vec_store_partial(float *to, vec a, size_t count)
{
	memcpy(to, a.lane, count * sizeof(float));
}

static inline vec vec_add(vec a, vec b)
{
	FOR_LANES(l) a.lane[l] += b.lane[l];
	return a;
}

static inline vec vec_sub(vec a, vec b)
{
	FOR_LANES(l) a.lane[l] -= b.lane[l];
	return a;
}

static inline vec vec_mul(vec a, vec b)
{
	FOR_LANES(l) a.lane[l] *= b.lane[l];
	return a;
}

static inline vec vec_div(vec a, vec b)
{
	FOR_LANES(l) a.lane[l] /= b.lane[l];
	return a;
}

static inline vec vec_sqrt(vec a)
{
	FOR_LANES(l) a.lane[l] = number_root(a.lane[l]);
	return a;
}

static inline vec vec_max(vec a, vec b)
{
	FOR_LANES(l) a.lane[l] = a.lane[l] > b.lane[l] ? a.lane[l] : b.lane[l];
	return a;
}

static inline vec vec_absmax(vec a, vec b)
{
	FOR_LANES(l)
	{
		int32_t left = (int32_t)number_bits(a.lane[l]);
		int32_t right = (int32_t)(number_bits(b.lane[l]) & INT32_MAX);

		a.lane[l] = number_of_bits((uint32_t)(left > right ? left : right));
	}
	return a;
}

static inline vec vec_keep(vec a, vec fill, size_t count)
{
	FOR_LANES(l) a.lane[l] = (size_t)l < count ? a.lane[l] : fill.lane[l];
	return a;
}

static inline vec vec_power_of_two(vec shifted)
{
	FOR_LANES(l)
	shifted.lane[l] = number_of_bits((number_bits(shifted.lane[l]) << 23) + NUMBER_ONE_BITS);
	return shifted;
}

static inline vec vec_clamp_bits(vec a, float low, float high)
{
	const int32_t least = (int32_t)number_bits(low), most = (int32_t)number_bits(high);

	FOR_LANES(l)
	{
		int32_t bits = (int32_t)number_bits(a.lane[l]);

		bits = bits < least ? least : bits;
		bits = bits > most ? most : bits;
		a.lane[l] = number_of_bits((uint32_t)bits);
	}
	return a;
}

static inline void vec_lookup(vec column[4], const float (*table)[4], vec a, float first)
{
	FOR_LANES(l)
	{
		const float *row = table[number_bits(a.lane[l]) - number_bits(first)];

		for (int c = 0; c < 4; c++)
			column[c].lane[l] = row[c];
	}
}

static inline float vec_sum(vec a)
{
	for (int half = LF_SIMD_LANES / 2; half; half /= 2) {
		for (int l = 0; l < half; l++)
			a.lane[l] += a.lane[l + half];
	}
	return a.lane[0];
}

/* In the order of halves, as registers would do it. */
static inline float vec_most(vec a)
{
	float lane[LF_SIMD_LANES];

	vec_store(lane, a);
	for (int half = LF_SIMD_LANES / 2; half; half /= 2)
		for (int l = 0; l < half; l++)
			lane[l] = lane[l] > lane[l + half] ? lane[l] : lane[l + half];
	return lane[0];
}

#include "runtime/simd/body.h"
