// SPDX-License-Identifier: MIT
/* The 16 lanes as four Advanced SIMD registers; body.h has the kernels. */
#include <arm_neon.h>
#include <string.h>

#include "runtime/simd/number.h"
#include "runtime/simd/simd.h"

#define SIMD_ISA   LF_SIMD_NEON
#define SIMD_TABLE lf_simd_ops_neon
#define SIMD_DOTS  4
#define SIMD_ROWS  4

#define QUADS	   (LF_SIMD_LANES / 4)

typedef struct {
	float32x4_t quad[QUADS];
} vec;

#define FOR_QUADS(i) for (int i = 0; i < QUADS; i++)

static inline vec vec_set(float value)
{
	vec result;

	FOR_QUADS(i) result.quad[i] = vdupq_n_f32(value);
	return result;
}

static inline vec vec_load(const float *from)
{
	vec result;

	FOR_QUADS(i) result.quad[i] = vld1q_f32(from + 4 * i);
	return result;
}

static inline vec vec_load_partial(const float *from, size_t count)
{
	float lanes[LF_SIMD_LANES] = { 0 };

	memcpy(lanes, from, count * sizeof(float));
	return vec_load(lanes);
}

static inline void vec_store(float *to, vec a)
{
	FOR_QUADS(i) vst1q_f32(to + 4 * i, a.quad[i]);
}

static inline void vec_store_partial(float *to, vec a, size_t count)
{
	float lanes[LF_SIMD_LANES];

	vec_store(lanes, a);
	memcpy(to, lanes, count * sizeof(float));
}

static inline vec vec_add(vec a, vec b)
{
	FOR_QUADS(i) a.quad[i] = vaddq_f32(a.quad[i], b.quad[i]);
	return a;
}

static inline vec vec_sub(vec a, vec b)
{
	FOR_QUADS(i) a.quad[i] = vsubq_f32(a.quad[i], b.quad[i]);
	return a;
}

static inline vec vec_mul(vec a, vec b)
{
	FOR_QUADS(i) a.quad[i] = vmulq_f32(a.quad[i], b.quad[i]);
	return a;
}

static inline vec vec_div(vec a, vec b)
{
	FOR_QUADS(i) a.quad[i] = vdivq_f32(a.quad[i], b.quad[i]);
	return a;
}

static inline vec vec_sqrt(vec a)
{
	FOR_QUADS(i) a.quad[i] = vsqrtq_f32(a.quad[i]);
	return a;
}

static inline vec vec_max(vec a, vec b)
{
	/* vmaxq_f32 would return the NaN of either side; here b wins unless a is greater. */
	FOR_QUADS(i)
	a.quad[i] = vbslq_f32(vcgtq_f32(a.quad[i], b.quad[i]), a.quad[i], b.quad[i]);
	return a;
}

static inline vec vec_absmax(vec a, vec b)
{
	FOR_QUADS(i)
	{
		int32x4_t right = vreinterpretq_s32_f32(vabsq_f32(b.quad[i]));

		a.quad[i] =
			vreinterpretq_f32_s32(vmaxq_s32(vreinterpretq_s32_f32(a.quad[i]), right));
	}
	return a;
}

static inline vec vec_keep(vec a, vec fill, size_t count)
{
	static const uint32_t index[LF_SIMD_LANES] = { 0, 1, 2,	 3,  4,	 5,  6,	 7,
						       8, 9, 10, 11, 12, 13, 14, 15 };
	const uint32x4_t limit = vdupq_n_u32((uint32_t)count);

	FOR_QUADS(i)
	a.quad[i] = vbslq_f32(vcltq_u32(vld1q_u32(index + 4 * i), limit), a.quad[i], fill.quad[i]);
	return a;
}

static inline vec vec_power_of_two(vec shifted)
{
	FOR_QUADS(i)
	{
		uint32x4_t exponent = vshlq_n_u32(vreinterpretq_u32_f32(shifted.quad[i]), 23);

		shifted.quad[i] =
			vreinterpretq_f32_u32(vaddq_u32(exponent, vdupq_n_u32(NUMBER_ONE_BITS)));
	}
	return shifted;
}

static inline vec vec_clamp_bits(vec a, float low, float high)
{
	const int32x4_t least = vdupq_n_s32((int32_t)number_bits(low));
	const int32x4_t most = vdupq_n_s32((int32_t)number_bits(high));

	FOR_QUADS(i)
	a.quad[i] = vreinterpretq_f32_s32(
		vminq_s32(vmaxq_s32(vreinterpretq_s32_f32(a.quad[i]), least), most));
	return a;
}

/* Four table rows at a time, loaded whole and transposed. */
static inline void vec_lookup(vec column[4], const float (*table)[4], vec a, float first)
{
	FOR_QUADS(i)
	{
		float32x4x2_t even, odd;
		uint32_t index[4];

		vst1q_u32(index, vsubq_u32(vreinterpretq_u32_f32(a.quad[i]),
					   vdupq_n_u32(number_bits(first))));
		even = vzipq_f32(vld1q_f32(table[index[0]]), vld1q_f32(table[index[2]]));
		odd = vzipq_f32(vld1q_f32(table[index[1]]), vld1q_f32(table[index[3]]));
		column[0].quad[i] = vzip1q_f32(even.val[0], odd.val[0]);
		column[1].quad[i] = vzip2q_f32(even.val[0], odd.val[0]);
		column[2].quad[i] = vzip1q_f32(even.val[1], odd.val[1]);
		column[3].quad[i] = vzip2q_f32(even.val[1], odd.val[1]);
	}
}

static inline float vec_sum(vec a)
{
	float32x4_t four =
		vaddq_f32(vaddq_f32(a.quad[0], a.quad[2]), vaddq_f32(a.quad[1], a.quad[3]));
	float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));

	return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
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
