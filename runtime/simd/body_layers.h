/* SPDX-License-Identifier: MIT */
/* GELU, layer norm, softmax, pooling and the loss, each beside its backward; a part of body.h. */
#include "runtime/simd/gelu_table.h"

/*
 * Adding 1.5 * 2^18 rounds x to a multiple of 1/32 and leaves that multiple in the low bits: the
 * number of the cubic piece. f = x - centre is exact within the pieces.
 */
static void gelu(float *y, float *slope, const float *x, size_t count)
{
	const float shift = 0x1.8p23f / LF_GELU_STEPS;
	const float first = shift - LF_GELU_LIMIT, last = shift + LF_GELU_LIMIT;

	FOR_CHUNKS(i, count)
	{
		size_t left = count - i;
		vec input = chunk_load(x + i, left);
		vec piece = vec_clamp_bits(vec_add(input, vec_set(shift)), first, last);
		vec f = vec_sub(input, vec_sub(piece, vec_set(shift)));
		vec c[4], cubic, quadratic;

		vec_lookup(c, lf_gelu_table, piece, first);
		cubic = vec_mul(c[3], f);
		quadratic = vec_add(c[2], cubic);
		if (slope) {
			/* 2 c2 + 3 c3 f is twice the quadratic plus the cubic term. */
			vec rise = vec_add(vec_add(quadratic, quadratic), cubic);

			chunk_store(slope + i, vec_mul_add(rise, f, c[1]), left);
		}
		chunk_store(y + i, vec_mul_add(vec_mul_add(quadratic, f, c[1]), f, c[0]), left);
	}
}

static void layer_norm_row(float *out, float *normalised, float *rstd, const float *x,
			   const float *residual, const float *gamma, const float *beta,
			   size_t columns, float epsilon)
{
	const float share = 1.0f / (float)columns;
	vec lanes = vec_zero(), mean, inverse;
	float root;

	FOR_CHUNKS(c, columns)
	{
		size_t left = columns - c;
		vec total = chunk_load(x + c, left);

		if (residual)
			total = vec_add(total, chunk_load(residual + c, left));
		lanes = c ? vec_add(lanes, total) : total;
		chunk_store(normalised + c, total, left);
	}
	mean = vec_set(vec_sum(lanes) * share);
	FOR_CHUNKS(c, columns)
	{
		size_t left = columns - c;
		vec centred = vec_sub(chunk_load(normalised + c, left), mean);

		chunk_store(normalised + c, centred, left);
		centred = chunk_keep(centred, vec_zero(), left);
		lanes = c ? vec_add(lanes, vec_mul(centred, centred)) : vec_mul(centred, centred);
	}
	root = 1.0f / number_root(vec_sum(lanes) * share + epsilon);
	inverse = vec_set(root);
	FOR_CHUNKS(c, columns)
	{
		size_t left = columns - c;
		vec unit = vec_mul(chunk_load(normalised + c, left), inverse);

		chunk_store(normalised + c, unit, left);
		chunk_store(
			out + c,
			vec_mul_add(unit, chunk_load(gamma + c, left), chunk_load(beta + c, left)),
			left);
	}
	if (rstd)
		*rstd = root;
}

static void layer_norm(struct lf_rows_out out, float *normalised, float *rstd, struct lf_rows x,
		       struct lf_rows residual, const float *gamma, const float *beta, size_t rows,
		       size_t columns, float epsilon)
{
	for (size_t r = 0; r < rows; r++)
		layer_norm_row(out.data + r * out.stride, normalised + r * columns,
			       rstd ? rstd + r : NULL, x.data + r * x.stride,
			       residual.data ? residual.data + r * residual.stride : NULL, gamma,
			       beta, columns, epsilon);
}

static void layer_norm_backward(struct lf_rows_out dx, struct lf_rows dy, const float *normalised,
				const float *rstd, const float *gamma, size_t rows, size_t columns)
{
	const float share = 1.0f / (float)columns;

	for (size_t r = 0; r < rows; r++) {
		const float *from = dy.data + r * dy.stride, *unit = normalised + r * columns;
		vec total = vec_zero(), projection = vec_zero(), mean, slope, inverse;
		float *to = dx.data + r * dx.stride;

		FOR_CHUNKS(c, columns)
		{
			size_t left = columns - c;
			vec g = vec_mul(chunk_load(from + c, left), chunk_load(gamma + c, left));
			vec product = vec_mul(g, chunk_load(unit + c, left));

			chunk_store(to + c, g, left);
			total = c ? vec_add(total, g) : g;
			projection = c ? vec_add(projection, product) : product;
		}
		mean = vec_set(vec_sum(total) * share);
		slope = vec_set(vec_sum(projection) * share);
		inverse = vec_set(rstd[r]);
		FOR_CHUNKS(c, columns)
		{
			size_t left = columns - c;
			vec along = vec_mul(chunk_load(unit + c, left), slope);
			vec g = vec_sub(vec_sub(chunk_load(to + c, left), mean), along);

			chunk_store(to + c, vec_mul(g, inverse), left);
		}
	}
}

/*
 * 2^t for t <= 0, cut at t = -58 (exp(-40.2)); relative error 2e-7. Adding 1.5 * 2^23 rounds t to
 * an integer and leaves it in the low bits; the polynomial is the minimax one of 2^f on
 * -1/2 .. 1/2 among those with 2^0 = 1, so that the largest of a softmax counts exactly 1.
 */
static inline vec exp2_of_nonpositive(vec t)
{
	const vec shift = vec_set(0x1.8p23f);
	vec cut = vec_max(vec_set(-58.0f), t);
	vec shifted = vec_add(cut, shift);
	vec f = vec_sub(cut, vec_sub(shifted, shift));
	vec p = vec_mul_add(vec_set(0x1.5bba28p-10f), f, vec_set(0x1.3cea9p-7f));

	p = vec_mul_add(p, f, vec_set(0x1.c6b752p-5f));
	p = vec_mul_add(p, f, vec_set(0x1.ebf9bcp-3f));
	p = vec_mul_add(p, f, vec_set(0x1.62e43p-1f));
	p = vec_mul_add(p, f, vec_set(1.0f));
	return vec_mul(p, vec_power_of_two(shifted));
}

static inline float row_max(const float *x, size_t count)
{
	const vec least = vec_set(-__builtin_inff());
	vec lanes = least;

	FOR_CHUNKS(c, count)
	lanes = vec_max(lanes, chunk_keep(chunk_load(x + c, count - c), least, count - c));
	return vec_most(lanes);
}

/* p = exp(scale * (x - most)), [count]. Return: the sum. p may be x. */
static float exp_row(float *p, const float *x, float most, float factor, size_t count)
{
	const vec to_exponent = vec_set(factor * 0x1.715476p0f); /* log2(e) */
	vec lanes = vec_zero();

	FOR_CHUNKS(c, count)
	{
		size_t left = count - c;
		vec below = vec_sub(chunk_load(x + c, left), vec_set(most));
		vec e = exp2_of_nonpositive(vec_mul(below, to_exponent));

		chunk_store(p + c, e, left);
		e = chunk_keep(e, vec_zero(), left);
		lanes = c ? vec_add(lanes, e) : e;
	}
	return vec_sum(lanes);
}

static void softmax(struct lf_rows_out p, struct lf_rows x, float factor, size_t rows,
		    size_t columns, size_t valid)
{
	for (size_t r = 0; r < rows; r++) {
		const float *from = x.data + r * x.stride;
		float *to = p.data + r * p.stride;
		float total = exp_row(to, from, row_max(from, valid), factor, valid);

		scale(to, to, 1.0f / total, valid);
		memset(to + valid, 0, (columns - valid) * sizeof(*to));
	}
}

static void softmax_backward(struct lf_rows_out dx, struct lf_rows dp, struct lf_rows p,
			     float factor, size_t rows, size_t columns)
{
	const vec factors = vec_set(factor);

	for (size_t r = 0; r < rows; r++) {
		const float *from = dp.data + r * dp.stride, *share = p.data + r * p.stride;
		const vec mean = vec_set(dot(from, share, columns));
		float *to = dx.data + r * dx.stride;

		FOR_CHUNKS(c, columns)
		{
			size_t left = columns - c;
			vec g = vec_sub(chunk_load(from + c, left), mean);

			g = vec_mul(vec_mul(g, chunk_load(share + c, left)), factors);
			chunk_store(to + c, g, left);
		}
	}
}

static void mean_pool(float *out, struct lf_rows x, size_t tokens, size_t columns)
{
	const vec share = vec_set(1.0f / (float)tokens);

	FOR_CHUNKS(c, columns)
	{
		size_t left = columns - c;
		vec total = chunk_load(x.data + c, left);

		for (size_t t = 1; t < tokens; t++)
			total = vec_add(total, chunk_load(x.data + t * x.stride + c, left));
		chunk_store(out + c, vec_mul(total, share), left);
	}
}

static void mean_pool_backward(struct lf_rows_out dx, const float *dout, size_t tokens,
			       size_t columns)
{
	for (size_t t = 0; t < tokens; t++)
		scale(dx.data + t * dx.stride, dout, 1.0f / (float)tokens, columns);
}

static float normalise(float *y, const float *x, size_t count)
{
	const float smallest = 1e-12f;
	float norm = number_root(sum_squares(x, count));
	float inverse = 1.0f / (smallest > norm ? smallest : norm);

	scale(y, x, inverse, count);
	return inverse;
}

static void normalise_backward(float *dx, const float *dy, const float *y, float inverse,
			       size_t count)
{
	const vec along = vec_set(dot(dy, y, count)), factors = vec_set(inverse);

	FOR_CHUNKS(c, count)
	{
		size_t left = count - c;
		vec g = vec_sub(chunk_load(dy + c, left), vec_mul(chunk_load(y + c, left), along));

		chunk_store(dx + c, vec_mul(g, factors), left);
	}
}

static float cross_entropy(float *probability, float *gradient, const float *logits, size_t classes,
			   size_t label)
{
	float most = row_max(logits, classes), distance = most - logits[label];
	float total = exp_row(probability, logits, most, 1.0f, classes);

	scale(probability, probability, 1.0f / total, classes);
	if (gradient) {
		memmove(gradient, probability, classes * sizeof(*gradient));
		gradient[label] -= 1.0f;
	}
	return (float)(number_log(total) + distance);
}
