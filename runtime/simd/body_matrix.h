/* SPDX-License-Identifier: MIT */
/* Matrix products and the attention that is made of them; a part of body.h. */

/* Rows of the result that share one pass over the other operand, to load that once for all. */
#define BLOCK 4

/*
 * @count <= BLOCK dot products of @a [k] with rows of @b, a constant @count at each call so that
 * the lanes stay in registers. k is at least 1.
 */
static inline __attribute__((always_inline)) void dots(float *out, const float *a, struct lf_rows b,
						       size_t k, int count)
{
	vec lanes[BLOCK], left_operand = chunk_load(a, k);

	for (int i = 0; i < count; i++)
		lanes[i] = vec_mul(left_operand, chunk_load(b.data + i * b.stride, k));
	for (size_t c = LF_SIMD_LANES; c < k; c += LF_SIMD_LANES) {
		size_t left = k - c;

		left_operand = chunk_load(a + c, left);
		for (int i = 0; i < count; i++) {
			vec right = chunk_load(b.data + i * b.stride + c, left);

			lanes[i] = vec_add(lanes[i], vec_mul(left_operand, right));
		}
	}
	for (int i = 0; i < count; i++)
		out[i] = vec_sum(lanes[i]);
}

/* Rows of b, which may be a layer's weights and more than a cache holds, are the outer loop: they are read once for all of a. */
static void matmul_nt(struct lf_rows_out out, struct lf_rows a, struct lf_rows b, float alpha,
		      const float *bias, size_t m, size_t n, size_t k)
{
	for (size_t j = 0; k && j < n;) {
		const struct lf_rows rest = { b.data + j * b.stride, b.stride };
		bool whole = n - j >= BLOCK;

		for (size_t i = 0; i < m; i++) {
			const float *row = a.data + i * a.stride;
			float *to = out.data + i * out.stride + j;

			if (whole)
				dots(to, row, rest, k, BLOCK);
			else
				dots(to, row, rest, k, 1);
		}
		j += whole ? BLOCK : 1;
	}
	for (size_t i = 0; i < m; i++) {
		float *to = out.data + i * out.stride;

		if (!k)
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

/* One chunk of columns of @count <= BLOCK rows of the result; @count is constant, k >= 1. */
static inline __attribute__((always_inline)) void chains(struct lf_rows_out out, struct factors a,
							 struct lf_rows b, bool accumulate,
							 size_t left, size_t k, int count)
{
	vec total[BLOCK], right = chunk_load(b.data, left);

	for (int i = 0; i < count; i++) {
		total[i] = vec_mul(vec_set(a.data[i * a.row]), right);
		if (accumulate)
			total[i] = vec_add(chunk_load(out.data + i * out.stride, left), total[i]);
	}
	for (size_t step = 1; step < k; step++) {
		right = chunk_load(b.data + step * b.stride, left);
		for (int i = 0; i < count; i++) {
			vec factor = vec_set(a.data[i * a.row + step * a.step]);

			total[i] = vec_add(total[i], vec_mul(factor, right));
		}
	}
	for (int i = 0; i < count; i++)
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
		bool whole = m - i >= BLOCK;

		FOR_CHUNKS(c, n)
		{
			struct lf_rows_out to = { out.data + i * out.stride + c, out.stride };
			struct factors factor = { a.data + i * a.row, a.row, a.step };
			struct lf_rows from = { b.data + c, b.stride };

			if (whole)
				chains(to, factor, from, accumulate, n - c, k, BLOCK);
			else
				chains(to, factor, from, accumulate, n - c, k, 1);
		}
		i += whole ? BLOCK : 1;
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
