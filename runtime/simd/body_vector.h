/* SPDX-License-Identifier: MIT */
/* Element-wise kernels and reductions over one vector; a part of body.h. */

static void add(float *out, const float *a, const float *b, size_t count)
{
	FOR_CHUNKS(c, count)
	{
		size_t left = count - c;

		chunk_store(out + c, vec_add(chunk_load(a + c, left), chunk_load(b + c, left)),
			    left);
	}
}

static void mul(float *out, const float *a, const float *b, size_t count)
{
	FOR_CHUNKS(c, count)
	{
		size_t left = count - c;

		chunk_store(out + c, vec_mul(chunk_load(a + c, left), chunk_load(b + c, left)),
			    left);
	}
}

static void scale(float *out, const float *a, float factor, size_t count)
{
	const vec factors = vec_set(factor);

	FOR_CHUNKS(c, count)
	{
		size_t left = count - c;

		chunk_store(out + c, vec_mul(chunk_load(a + c, left), factors), left);
	}
}

static void axpy(float *y, float factor, const float *x, size_t count)
{
	const vec factors = vec_set(factor);

	FOR_CHUNKS(c, count)
	{
		size_t left = count - c;
		vec product = vec_mul(factors, chunk_load(x + c, left));

		chunk_store(y + c, vec_add(chunk_load(y + c, left), product), left);
	}
}

static void scale_columns(struct lf_rows_out out, struct lf_rows x, const float *factor,
			  const float *bias, size_t rows, size_t columns)
{
	for (size_t r = 0; r < rows; r++) {
		const float *from = x.data + r * x.stride;
		float *to = out.data + r * out.stride;

		FOR_CHUNKS(c, columns)
		{
			size_t left = columns - c;
			vec y = vec_mul(chunk_load(from + c, left), chunk_load(factor + c, left));

			if (bias)
				y = vec_add(y, chunk_load(bias + c, left));
			chunk_store(to + c, y, left);
		}
	}
}

static float dot(const float *a, const float *b, size_t count)
{
	vec lanes;

	if (!count)
		return 0.0f;
	lanes = vec_mul(chunk_load(a, count), chunk_load(b, count));
	for (size_t c = LF_SIMD_LANES; c < count; c += LF_SIMD_LANES) {
		size_t left = count - c;

		lanes = vec_add(lanes, vec_mul(chunk_load(a + c, left), chunk_load(b + c, left)));
	}
	return vec_sum(lanes);
}

static float sum(const float *a, size_t count)
{
	vec lanes;

	if (!count)
		return 0.0f;
	lanes = chunk_load(a, count);
	for (size_t c = LF_SIMD_LANES; c < count; c += LF_SIMD_LANES)
		lanes = vec_add(lanes, chunk_load(a + c, count - c));
	return vec_sum(lanes);
}

static float sum_squares(const float *a, size_t count)
{
	return dot(a, a, count);
}

static float absmax(const float *a, size_t count)
{
	float lane[LF_SIMD_LANES];
	vec lanes = vec_zero();
	uint32_t most = 0;

	FOR_CHUNKS(c, count) lanes = vec_absmax(lanes, chunk_load(a + c, count - c));
	vec_store(lane, lanes);
	for (int l = 0; l < LF_SIMD_LANES; l++)
		most = number_bits(lane[l]) > most ? number_bits(lane[l]) : most;
	return number_of_bits(most);
}
