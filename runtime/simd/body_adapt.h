/* SPDX-License-Identifier: MIT */
/* What training and deploying an adaptation needs besides the layers; a part of body.h. */

/* @count chunks of columns at once, so that their sums do not wait for one another; @count is constant. */
static inline __attribute__((always_inline)) void column_sums(float *out, struct lf_rows a,
							      struct lf_rows b, const float *factor,
							      size_t tokens, size_t columns,
							      int count)
{
	vec total[4];

	for (int i = 0; i < count; i++)
		total[i] = vec_zero();
	for (size_t t = 0; t < tokens; t++) {
		for (int i = 0; i < count; i++) {
			size_t c = (size_t)i * LF_SIMD_LANES, left = columns - c;

			total[i] =
				vec_mul_add(chunk_load(a.data + t * a.stride + c, left),
					    chunk_load(b.data + t * b.stride + c, left), total[i]);
		}
	}
	for (int i = 0; i < count; i++) {
		size_t c = (size_t)i * LF_SIMD_LANES, left = columns - c;

		total[i] = vec_mul_add(total[i], chunk_load(factor + c, left),
				       chunk_load(out + c, left));
		chunk_store(out + c, total[i], left);
	}
}

static void column_dots(float *out, struct lf_rows a, struct lf_rows b, const float *factor,
			size_t tokens, size_t columns)
{
	size_t c = 0;

	for (; c + 4 * LF_SIMD_LANES <= columns; c += 4 * LF_SIMD_LANES)
		column_sums(out + c, lf_rows_from(a, c), lf_rows_from(b, c), factor + c, tokens,
			    columns - c, 4);
	for (; c < columns; c += LF_SIMD_LANES)
		column_sums(out + c, lf_rows_from(a, c), lf_rows_from(b, c), factor + c, tokens,
			    columns - c, 1);
}

/* @count groups at once, likewise. */
static inline __attribute__((always_inline)) void
group_products(float *out, struct lf_rows a, size_t a_group, struct lf_rows b, size_t b_group,
	       float factor, const struct lf_group_shape *shape, int count)
{
	vec lanes[4];

	for (int i = 0; i < count; i++)
		lanes[i] = vec_zero();
	for (size_t t = 0; t < shape->tokens; t++) {
		FOR_CHUNKS(c, shape->width)
		{
			size_t left = shape->width - c;

			for (int i = 0; i < count; i++)
				lanes[i] = vec_mul_add(chunk_load(a.data + i * a_group + c, left),
						       chunk_load(b.data + i * b_group + c, left),
						       lanes[i]);
		}
		a.data += a.stride;
		b.data += b.stride;
	}
	for (int i = 0; i < count; i++)
		out[i] += factor * vec_sum(lanes[i]);
}

static void group_dots(float *out, struct lf_rows a, size_t a_group, struct lf_rows b,
		       size_t b_group, float factor, const struct lf_group_shape *shape)
{
	size_t i = 0;

	for (; i + 4 <= shape->groups; i += 4)
		group_products(out + i, lf_rows_from(a, i * a_group), a_group,
			       lf_rows_from(b, i * b_group), b_group, factor, shape, 4);
	for (; i < shape->groups; i++)
		group_products(out + i, lf_rows_from(a, i * a_group), a_group,
			       lf_rows_from(b, i * b_group), b_group, factor, shape, 1);
}

static void group_sum(struct lf_rows_out out, struct lf_rows z, const float *coefficient,
		      const struct lf_group_shape *shape)
{
	const struct factors row = { coefficient, 0, 1 };

	/* Each token is a product of the coefficients [1][groups] with its groups as rows. */
	for (size_t t = 0; t < shape->tokens; t++) {
		struct lf_rows_out to = { out.data + t * out.stride, 0 };
		struct lf_rows from = { z.data + t * z.stride, shape->width };

		sum_of_outer_products(to, row, from, false, 1, shape->width, shape->groups);
	}
}

static void adam(float *parameter, float *first_moment, float *second_moment, const float *gradient,
		 size_t count, const struct lf_adam *constants)
{
	const vec beta1 = vec_set(constants->beta1), beta2 = vec_set(constants->beta2);
	const vec new1 = vec_set(constants->one_minus_beta1);
	const vec new2 = vec_set(constants->one_minus_beta2);
	const vec root = vec_set(constants->second_moment_root);

	FOR_CHUNKS(c, count)
	{
		size_t left = count - c;
		vec p = chunk_load(parameter + c, left), g = chunk_load(gradient + c, left);
		vec first = chunk_load(first_moment + c, left);
		vec second = chunk_load(second_moment + c, left);
		vec denominator;

		g = vec_mul_add(vec_set(constants->weight_decay), p, g);
		first = vec_add(vec_mul(first, beta1), vec_mul(g, new1));
		second = vec_add(vec_mul(second, beta2), vec_mul(vec_mul(g, g), new2));
		denominator = vec_add(vec_div(vec_sqrt(second), root), vec_set(constants->epsilon));
		p = vec_sub(p, vec_mul(vec_set(constants->step_size), vec_div(first, denominator)));
		chunk_store(parameter + c, p, left);
		chunk_store(first_moment + c, first, left);
		chunk_store(second_moment + c, second, left);
	}
}

static int quantise_rows(int8_t *out, float *row_scale, struct lf_rows w, size_t rows,
			 size_t columns)
{
	const float shift = 0x1.8p23f; /* leaves the rounded integer in the low bits */

	for (size_t r = 0; r < rows; r++, out += columns) {
		const float *from = w.data + r * w.stride;
		float most = absmax(from, columns), step = most / 127.0f;

		if (!(most <= __FLT_MAX__))
			return -EINVAL;
		if (step < __FLT_MIN__) {
			row_scale[r] = 0.0f;
			memset(out, 0, columns);
			continue;
		}
		row_scale[r] = step;
		FOR_CHUNKS(c, columns)
		{
			size_t left = columns - c;
			vec level = vec_div(chunk_load(from + c, left), vec_set(step));
			float lane[LF_SIMD_LANES];

			vec_store(lane, vec_add(level, vec_set(shift)));
			for (size_t l = 0; l < LF_SIMD_LANES && l < left; l++)
				out[c + l] = (int8_t)(number_bits(lane[l]) - number_bits(shift));
		}
	}
	return 0;
}
