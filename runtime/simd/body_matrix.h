/* SPDX-License-Identifier: MIT */
/* Matrix products and the attention that is made of them; a part of body.h. */

/* Elements of a dot product up to which its adding up counts. */
#define SHORT_DOT (8 * LF_SIMD_LANES)

/*
 * @count dot products of @a [k] with rows of @b, a constant @count at each call so that
 * the lanes stay in registers. k is at least 1.
 */
static inline __attribute__((always_inline)) void dots(vec *lanes, const float *a, struct lf_rows b,
						       size_t k, int count)
{
	size_t c = LF_SIMD_LANES;
	vec left_operand;

	if (k < LF_SIMD_LANES) {
		left_operand = vec_load_partial(a, k);
		UNROLL for (int i = 0; i < count; i++) lanes[i] =
			vec_mul(left_operand, vec_load_partial(b.data + i * b.stride, k));
		return;
	}
	left_operand = vec_load(a);
	UNROLL for (int i = 0; i < count; i++) lanes[i] =
		vec_mul(left_operand, vec_load(b.data + i * b.stride));
	for (; c + LF_SIMD_LANES <= k; c += LF_SIMD_LANES) {
		left_operand = vec_load(a + c);
		UNROLL for (int i = 0; i < count; i++) lanes[i] = vec_add(
			lanes[i], vec_mul(left_operand, vec_load(b.data + i * b.stride + c)));
	}
	if (c == k)
		return;
	left_operand = vec_load_partial(a + c, k - c);
	UNROLL for (int i = 0; i < count; i++) lanes[i] =
		vec_add(lanes[i],
			vec_mul(left_operand, vec_load_partial(b.data + i * b.stride + c, k - c)));
}

/* The last steps of a result: times alpha, plus its bias. */
static inline float finish_dot(vec lanes, float alpha, const float *bias, size_t j)
{
	float y = vec_sum(lanes) * alpha;

	return bias ? y + bias[j] : y;
}

/* A row of the result from column @j on; k is at least 1. */
static inline void row_of_dots(float *to, const float *row, struct lf_rows b, float alpha,
			       const float *bias, size_t j, size_t n, size_t k)
{
	b.data += j * b.stride;
#if SIMD_DOTS == 16
	/* Not for long rows, which are fetched ahead for a few of them at a time. */
	for (; k <= SHORT_DOT && j + SIMD_DOTS <= n;
	     j += SIMD_DOTS, b.data += SIMD_DOTS * b.stride) {
		vec lanes[SIMD_DOTS], y;

		dots(lanes, row, b, k, SIMD_DOTS);
		y = vec_mul(vec_sum_each(lanes), vec_set(alpha));
		if (bias)
			y = vec_add(y, vec_load(bias + j));
		vec_store(to + j, y);
	}
#endif
	for (; j + 4 <= n; j += 4, b.data += 4 * b.stride) {
		vec lanes[4];

		dots(lanes, row, b, k, 4);
		for (size_t i = 0; i < 4; i++)
			to[j + i] = finish_dot(lanes[i], alpha, bias, j + i);
	}
	for (; j < n; j++, b.data += b.stride) {
		vec lanes;

		dots(&lanes, row, b, k, 1);
		to[j] = finish_dot(lanes, alpha, bias, j);
	}
}

#if SIMD_DOTS == 16
/*
 * Two rows of the result, four columns at a time: for long dot products with rows of a matrix that the nearest cache does not hold, or
 * that are loaded as fast as they are multiplied.
 */
static inline void rows_of_long_dots(struct lf_rows_out out, struct lf_rows a, struct lf_rows b,
				     float alpha, const float *bias, size_t n, size_t k)
{
	const float *first = a.data, *second = a.data + a.stride;
	struct lf_rows four = b;
	size_t j = 0;

	for (; j + 4 <= n; j += 4, four.data += 4 * four.stride) {
		vec low[4], high[4];

		UNROLL for (int i = 0; i < 4; i++)
		{
			vec right = vec_load(four.data + i * four.stride);

			low[i] = vec_mul(vec_load(first), right);
			high[i] = vec_mul(vec_load(second), right);
		}
		for (size_t c = LF_SIMD_LANES; c < k; c += LF_SIMD_LANES) {
			vec left0 = chunk_load(first + c, k - c),
			    left1 = chunk_load(second + c, k - c);

			UNROLL for (int i = 0; i < 4; i++)
			{
				vec right = chunk_load(four.data + i * four.stride + c, k - c);

				low[i] = vec_add(low[i], vec_mul(left0, right));
				high[i] = vec_add(high[i], vec_mul(left1, right));
			}
		}
		for (size_t i = 0; i < 4; i++) {
			out.data[j + i] = finish_dot(low[i], alpha, bias, j + i);
			out.data[out.stride + j + i] = finish_dot(high[i], alpha, bias, j + i);
		}
	}
	row_of_dots(out.data, first, b, alpha, bias, j, n, k);
	row_of_dots(out.data + out.stride, second, b, alpha, bias, j, n, k);
}

#endif

static void matmul_nt(struct lf_rows_out out, struct lf_rows a, struct lf_rows b, float alpha,
		      const float *bias, size_t m, size_t n, size_t k)
{
	size_t i = 0;

#if SIMD_DOTS == 16
	for (; k > SHORT_DOT && i + 2 <= m; i += 2)
		rows_of_long_dots((struct lf_rows_out){ out.data + i * out.stride, out.stride },
				  (struct lf_rows){ a.data + i * a.stride, a.stride }, b, alpha,
				  bias, n, k);
#endif
	for (; i < m; i++) {
		float *to = out.data + i * out.stride;

		if (k) {
			row_of_dots(to, a.data + i * a.stride, b, alpha, bias, 0, n, k);
			continue;
		}
		memset(to, 0, n * sizeof(*to));
		scale(to, to, alpha, n);
		if (bias)
			add(to, to, bias, n);
	}
}

/* Where the factors of matmul_nn and matmul_tn lie: factor(i, k) at data[i * row + k * step]. */
struct factors {
	const float *data;
	size_t row;
	size_t step;
};

/* One chunk of columns of @count <= SIMD_ROWS rows of the result; @count is constant, k >= 1. */
static inline __attribute__((always_inline)) void chains(struct lf_rows_out out, struct factors a,
							 struct lf_rows b, bool accumulate,
							 size_t left, size_t k, int count)
{
	vec total[SIMD_ROWS], right = chunk_load(b.data, left);

	UNROLL for (int i = 0; i < count; i++)
	{
		total[i] = vec_mul(vec_set(a.data[i * a.row]), right);
		if (accumulate)
			total[i] = vec_add(chunk_load(out.data + i * out.stride, left), total[i]);
	}
	for (size_t step = 1; step < k; step++) {
		right = chunk_load(b.data + step * b.stride, left);
		UNROLL for (int i = 0; i < count; i++)
		{
			vec factor = vec_set(a.data[i * a.row + step * a.step]);

			total[i] = vec_add(total[i], vec_mul(factor, right));
		}
	}
	UNROLL for (int i = 0; i < count; i++)
		chunk_store(out.data + i * out.stride, total[i], left);
}

static void sum_of_outer_products(struct lf_rows_out out, struct factors a, struct lf_rows b,
				  bool accumulate, size_t m, size_t n, size_t k)
{
	size_t i = 0;

	if (!k) {
		for (; i < m && !accumulate; i++)
			memset(out.data + i * out.stride, 0, n * sizeof(*out.data));
		return;
	}
	while (i < m) {
		size_t rows = m - i >= SIMD_ROWS ? SIMD_ROWS : m - i >= 4 ? 4 : 1;

		FOR_CHUNKS(c, n)
		{
			struct lf_rows_out to = { out.data + i * out.stride + c, out.stride };
			struct factors factor = { a.data + i * a.row, a.row, a.step };
			struct lf_rows from = { b.data + c, b.stride };

			/* The count is a constant in each, so that the sums stay in registers. */
#if SIMD_ROWS > 4
			if (rows == SIMD_ROWS) {
				chains(to, factor, from, accumulate, n - c, k, SIMD_ROWS);
				continue;
			}
#endif
			if (rows == 4)
				chains(to, factor, from, accumulate, n - c, k, 4);
			else
				chains(to, factor, from, accumulate, n - c, k, 1);
		}
		i += rows;
	}
}

static void matmul_nn(struct lf_rows_out out, struct lf_rows a, struct lf_rows b, bool accumulate,
		      size_t m, size_t n, size_t k)
{
	sum_of_outer_products(out, (struct factors){ a.data, a.stride, 1 }, b, accumulate, m, n, k);
}

static void matmul_tn(struct lf_rows_out out, struct lf_rows a, struct lf_rows b, bool accumulate,
		      size_t m, size_t n, size_t k)
{
	sum_of_outer_products(out, (struct factors){ a.data, 1, a.stride }, b, accumulate, m, n, k);
}

static void attention(struct lf_rows_out context, float *probability, struct lf_rows q,
		      struct lf_rows k, struct lf_rows v, const struct lf_attention_shape *shape)
{
	const size_t tokens = shape->tokens, width = shape->width;
	const struct lf_rows_out scores = { probability, tokens };
	const struct lf_rows rows = { probability, tokens };

	matmul_nt(scores, q, k, 1.0f, NULL, tokens, tokens, width);
	softmax(scores, rows, shape->scale, tokens, tokens, tokens);
	matmul_nn(context, rows, v, false, tokens, width, tokens);
}

static void attention_backward(struct lf_rows_out dq, struct lf_rows_out dk, struct lf_rows_out dv,
			       struct lf_rows dcontext, struct lf_rows q, struct lf_rows k,
			       struct lf_rows v, const float *probability, float *scratch,
			       const struct lf_attention_shape *shape)
{
	const size_t tokens = shape->tokens, width = shape->width;
	const struct lf_rows p = { probability, tokens }, slopes = { scratch, tokens };
	const struct lf_rows_out scores = { scratch, tokens };

	matmul_tn(dv, p, dcontext, false, tokens, width, tokens);
	matmul_nt(scores, dcontext, v, 1.0f, NULL, tokens, tokens, width);
	softmax_backward(scores, slopes, p, shape->scale, tokens, tokens);
	matmul_nn(dq, slopes, k, false, tokens, width, tokens);
	matmul_tn(dk, slopes, q, false, tokens, width, tokens);
}
