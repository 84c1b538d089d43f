// SPDX-License-Identifier: MIT
/*
 * Measured time of the host kernels on the shapes of a small encoder: 384 columns, 12 heads of 32,
 * 20 modules of rank 16. One JSON object a line, in nanoseconds for each element, multiplication or pair of tokens; the peer
 * is the scalar set. The limit is the larger of two times: of the bytes that a kernel must read and write, at the rate of copying
 * as many in this nearness to the processor, and of its additions and multiplications, at the rate of ones that wait for nothing.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/simd/simd.h"
#include "tests/bench/peak_float.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
	TOKENS = 64,
	COLUMNS = 384,
	HIDDEN = 1536,
	HEAD = 32,
	MODULES = 20,
	RANK = 16,
	BUFFER = TOKENS * HIDDEN,
};

/* Four inputs and two outputs, each big enough for any kernel here. */
struct data {
	float *in[4];
	float *out[2];
};

struct kernel {
	const char *name;
	const char *unit;
	size_t work;	   /* what one call does, in units */
	double bytes;	   /* that a unit reads and writes */
	double operations; /* of a unit: additions, multiplications, comparisons */
	void (*call)(const struct lf_simd_ops *ops, const struct data *data);
};

static struct lf_rows rows(const float *data, size_t stride)
{
	return (struct lf_rows){ data, stride };
}

static struct lf_rows_out rows_out(float *data, size_t stride)
{
	return (struct lf_rows_out){ data, stride };
}

static void call_add(const struct lf_simd_ops *ops, const struct data *d)
{
	ops->add(d->out[0], d->in[0], d->in[1], TOKENS * COLUMNS);
}

static void call_gelu(const struct lf_simd_ops *ops, const struct data *d)
{
	ops->gelu(d->out[0], d->out[1], d->in[0], TOKENS * HIDDEN);
}

static void call_layer_norm(const struct lf_simd_ops *ops, const struct data *d)
{
	ops->layer_norm(rows_out(d->out[0], COLUMNS), d->out[1], NULL, rows(d->in[0], COLUMNS),
			rows(d->in[1], COLUMNS), d->in[2], d->in[3], TOKENS, COLUMNS, 1e-12f);
}

static void call_layer_norm_backward(const struct lf_simd_ops *ops, const struct data *d)
{
	ops->layer_norm_backward(rows_out(d->out[0], COLUMNS), rows(d->in[0], COLUMNS), d->in[1],
				 d->in[2], d->in[3], TOKENS, COLUMNS);
}

static void call_softmax(const struct lf_simd_ops *ops, const struct data *d)
{
	ops->softmax(rows_out(d->out[0], TOKENS), rows(d->in[0], TOKENS), 0.2f, TOKENS, TOKENS,
		     TOKENS);
}

static const struct lf_attention_shape head = { TOKENS, HEAD, 0.2f };

static void call_attention(const struct lf_simd_ops *ops, const struct data *d)
{
	ops->attention(rows_out(d->out[0], COLUMNS), d->out[1], rows(d->in[0], COLUMNS),
		       rows(d->in[1], COLUMNS), rows(d->in[2], COLUMNS), &head);
}

static void call_attention_backward(const struct lf_simd_ops *ops, const struct data *d)
{
	ops->attention_backward(rows_out(d->out[0], COLUMNS), rows_out(d->out[0] + HEAD, COLUMNS),
				rows_out(d->out[0] + 2 * HEAD, COLUMNS), rows(d->in[3], COLUMNS),
				rows(d->in[0], COLUMNS), rows(d->in[1], COLUMNS),
				rows(d->in[2], COLUMNS), d->in[3], d->out[1], &head);
}

static void call_column_dots(const struct lf_simd_ops *ops, const struct data *d)
{
	ops->column_dots(d->out[0], rows(d->in[0], COLUMNS), rows(d->in[1], COLUMNS), d->in[2],
			 TOKENS, COLUMNS);
}

static void call_group_dots(const struct lf_simd_ops *ops, const struct data *d)
{
	const struct lf_group_shape shape = { TOKENS, MODULES, RANK };

	ops->group_dots(d->out[0], rows(d->in[0], MODULES * RANK), RANK,
			rows(d->in[1], MODULES * RANK), RANK, 0.5f, &shape);
}

static void call_matmul_nt(const struct lf_simd_ops *ops, const struct data *d)
{
	ops->matmul_nt(rows_out(d->out[0], COLUMNS), rows(d->in[0], COLUMNS),
		       rows(d->in[1], COLUMNS), 1, NULL, TOKENS, TOKENS, COLUMNS);
}

static void call_matmul_tn(const struct lf_simd_ops *ops, const struct data *d)
{
	ops->matmul_tn(rows_out(d->out[0], COLUMNS), rows(d->in[0], COLUMNS),
		       rows(d->in[1], COLUMNS), false, RANK, COLUMNS, TOKENS);
}

static void call_adam(const struct lf_simd_ops *ops, const struct data *d)
{
	struct lf_adam adam;

	lf_adam_prepare(&adam, 1, 0, 0.9, 0.999, 1e-8, 0);
	ops->adam(d->in[3], d->out[0], d->out[1], d->in[0], TOKENS * COLUMNS, &adam);
}

/* The exponential is 15 operations, a pair of tokens of a head 2 x 32 a product. */
static const struct kernel kernels[] = {
	{ "add", "ns/element", (TOKENS * COLUMNS), 12, 1, call_add },
	{ "gelu", "ns/element", (TOKENS * HIDDEN), 12, 15, call_gelu },
	{ "layer_norm", "ns/element", (TOKENS * COLUMNS), 16, 8, call_layer_norm },
	{ "layer_norm_backward", "ns/element", (TOKENS * COLUMNS), 12, 8,
	  call_layer_norm_backward },
	{ "softmax", "ns/element", (TOKENS * TOKENS), 8, 20, call_softmax },
	{ "attention", "ns/pair", (TOKENS * TOKENS), 4, 148, call_attention },
	{ "attention_backward", "ns/pair", (TOKENS * TOKENS), 8, 261, call_attention_backward },
	{ "column_dots", "ns/element", (TOKENS * COLUMNS), 8, 2, call_column_dots },
	{ "group_dots", "ns/element", (TOKENS * MODULES * RANK), 8, 2, call_group_dots },
	{ "matmul_nt", "ns/mac", (TOKENS * TOKENS * COLUMNS), 0, 2, call_matmul_nt },
	{ "matmul_tn", "ns/mac", (RANK * COLUMNS * TOKENS), 0, 2, call_matmul_tn },
	{ "adam", "ns/element", (TOKENS * COLUMNS), 28, 14, call_adam },
};

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Adam and the reductions add to what they find: back to ordinary numbers before each kernel. */
static void fill(const struct data *data)
{
	for (size_t b = 0; b < COUNT(data->in); b++) {
		for (size_t i = 0; i < BUFFER; i++)
			data->in[b][i] = (float)((i * 37 + b * 11) % 101) / 50 - 1;
	}
	for (size_t b = 0; b < COUNT(data->out); b++)
		memset(data->out[b], 0, BUFFER * sizeof(float));
}

/* Nanoseconds a unit, the best of a few rounds of at least 10 ms. */
static double measure(const struct kernel *kernel, enum lf_simd_isa isa, const struct data *data)
{
	const struct lf_simd_ops *ops = lf_simd_ops_of(isa);
	double best = 1e30;

	fill(data);
	kernel->call(ops, data);
	for (int round = 0; round < 5; round++) {
		double start = seconds(), took;
		size_t calls = 0;

		do {
			kernel->call(ops, data);
			calls++;
			took = seconds() - start;
		} while (took < 0.01);
		took = took * 1e9 / (double)(calls * kernel->work);
		best = took < best ? took : best;
	}
	return best;
}

/* Nanoseconds a byte, read or written, of copying what a kernel works on. */
static double copy_ns(const struct data *data)
{
	double best = 1e30;

	for (int round = 0; round < 200; round++) {
		double start = seconds(), took;

		memcpy(data->out[0], data->in[0], TOKENS * COLUMNS * sizeof(float));
		/* The copy is wanted. */
		__asm__ volatile("" : : "r"(data->out[0]) : "memory");
		took = (seconds() - start) * 1e9 / (2.0 * TOKENS * COLUMNS * sizeof(float));
		best = took < best ? took : best;
	}
	return best;
}

/* Nanoseconds an operation. */
static double operation_ns(enum lf_simd_isa isa)
{
	double best = 1e30;

	for (int round = 0; round < 20; round++) {
		double start = seconds(), operations = peak_float(isa), took;

		took = (seconds() - start) * 1e9 / operations;
		best = took < best ? took : best;
	}
	return best;
}

static void print_kernel(const struct kernel *kernel, enum lf_simd_isa isa, double value,
			 double scalar, double byte_ns, double each_ns)
{
	double by_bytes = kernel->bytes * byte_ns, by_operations = kernel->operations * each_ns;
	bool arithmetic = by_operations > by_bytes;

	printf("{\"name\": \"simd.%s.%s\", \"value\": %.4g, \"unit\": \"%s\", "
	       "\"peer\": \"scalar\", \"peer_value\": %.4g, \"limit\": \"%s\", \"limit_value\": %.4g}\n",
	       kernel->name, lf_simd_name(isa), value, kernel->unit, scalar,
	       arithmetic ? "arithmetic" : "bytes", arithmetic ? by_operations : by_bytes);
}

int main(void)
{
	float *memory = aligned_alloc(64, 6 * BUFFER * sizeof(*memory));
	double byte_ns, each_ns[LF_SIMD_ISA_COUNT];
	struct data data;

	if (!memory)
		return EXIT_FAILURE;
	for (size_t b = 0; b < 6; b++)
		*(b < 4 ? &data.in[b] : &data.out[b - 4]) = memory + b * BUFFER;
	fill(&data);
	byte_ns = copy_ns(&data);
	for (int isa = 0; isa < LF_SIMD_ISA_COUNT; isa++)
		each_ns[isa] = lf_simd_supported(isa) ? operation_ns(isa) : 0;
	for (size_t k = 0; k < COUNT(kernels); k++) {
		double scalar = measure(&kernels[k], LF_SIMD_SCALAR, &data);

		for (int isa = 0; isa < LF_SIMD_ISA_COUNT; isa++) {
			if (!lf_simd_supported(isa))
				continue;
			print_kernel(&kernels[k], isa,
				     isa == LF_SIMD_SCALAR ? scalar
							   : measure(&kernels[k], isa, &data),
				     scalar, byte_ns, each_ns[isa]);
		}
	}
	free(memory);
	return EXIT_SUCCESS;
}
