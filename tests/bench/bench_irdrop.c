// SPDX-License-Identifier: MIT
/*
 * How long IR drop of one tile takes: the fast method, with the exact one as its peer. Prints JSON rows of {name, value, unit, peer,
 * peer_value, limit, limit_value}, milliseconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "qemu-device/model/irdrop.h"

#define ROUNDS 5

typedef int (*method)(const struct irdrop *, const double *, double *);

static double now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return 1e3 * (double)time.tv_sec + 1e-6 * (double)time.tv_nsec;
}

/* Milliseconds of one call, negative without memory. */
static double measure(method call, const struct irdrop *circuit, const double *siemens,
		      double *effective)
{
	double start = now_ms(), took;
	int calls = 0;

	do {
		if (call(circuit, siemens, effective))
			return -1;
		calls++;
		took = now_ms() - start;
	} while (took < 20);
	return took / calls;
}

/* The methods take turns, so that what else the machine does falls on both. */
static int bench(uint32_t rows, uint32_t columns, const char *end)
{
	const struct irdrop circuit = { rows, columns, 1.0, 100.0, 100.0 };
	size_t cells = (size_t)rows * columns;
	double *siemens = malloc(cells * sizeof(*siemens));
	double *effective = malloc(cells * sizeof(*effective));
	double fast = 1e30, exact = 1e30;
	uint64_t state = 1;
	int ret = siemens && effective ? 0 : -1;

	for (size_t i = 0; !ret && i < cells; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		siemens[i] = (double)(state >> 62) / 3 * 40e-6;
	}
	for (int round = 0; !ret && round < ROUNDS; round++) {
		double of_fast = measure(xbar_irdrop_fast, &circuit, siemens, effective);
		double of_exact = measure(xbar_irdrop_exact, &circuit, siemens, effective);

		if (of_fast < 0 || of_exact < 0)
			ret = -1;
		fast = of_fast < fast ? of_fast : fast;
		exact = of_exact < exact ? of_exact : exact;
	}
	if (!ret)
		printf("  {\"name\": \"irdrop.fast.%ux%u\", \"value\": %.4g, \"unit\": "
		       "\"ms/tile\", \"peer\": \"exact\", \"peer_value\": %.4g, \"limit\": null, "
		       "\"limit_value\": null}%s\n",
		       rows, columns, fast, exact, end);
	free(siemens);
	free(effective);
	return ret;
}

int main(void)
{
	int ret;

	printf("[\n");
	ret = bench(128, 128, ",");
	if (!ret)
		ret = bench(256, 256, "");
	printf("]\n");
	if (ret)
		fprintf(stderr, "bench_irdrop: out of memory\n");
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
