// SPDX-License-Identifier: MIT
/*
 * How fast the model multiplies with cells that are not exact and with read noise, whole jobs, beside the same converters on exact
 * cells, the two taking turns; how long the plane of conductances takes to make, and what is kept in memory. Prints JSON rows
 * of {name, value, unit, peer, peer_value, limit, limit_value}.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/analog.h"
#include "tests/bench/device.h"
#include "tests/bench/peak.h"

#define TURNS 3

#define CELLS "adc_bits=6,program_sigma=0.01,stuck_on=0.001,stuck_off=0.001"
#define NOISE CELLS ",read_noise=0.01"
#define WIRES ",g_max_ns=40000,wire_mohm=1000"

/* A device that is measured beside another: of the same converters, but for @settings. */
struct rivals {
	struct workers *workers;
	uint32_t threads;
	bool later; /* rows were printed */
};

static void row(struct rivals *rivals, const char *name, double value, const char *unit,
		const char *peer, double peer_value)
{
	printf("%s  {\"name\": \"%s\", \"value\": %.4g, \"unit\": \"%s\", ",
	       rivals->later ? ",\n" : "", name, value, unit);
	if (peer)
		printf("\"peer\": \"%s\", \"peer_value\": %.4g, ", peer, peer_value);
	else
		printf("\"peer\": null, \"peer_value\": null, ");
	printf("\"limit\": null, \"limit_value\": null}");
	rivals->later = true;
}

static double least(double a, double b)
{
	return a < b ? a : b;
}

/* GMAC/s of both devices; @settings and @peer_settings are those of isaac but for them. */
static void bench_product(struct rivals *rivals, const char *name, const char *settings,
			  const char *peer_settings, struct product product)
{
	double products = (double)product.rows * product.cols * product.batch;
	double seconds = 1e9, peer_seconds = 1e9;
	struct product peer_product = product;
	struct lf_completion completion, peer_completion;
	struct device device, peer;
	char text[160];

	device_open(&device, rivals->workers, rivals->threads, "isaac", settings);
	device_open(&peer, rivals->workers, rivals->threads, "isaac", peer_settings);
	product.matrix = device_matrix(&device, product.rows, product.cols);
	peer_product.matrix = device_matrix(&peer, product.rows, product.cols);
	for (int turn = 0; turn < TURNS; turn++) {
		peer_seconds =
			least(peer_seconds, device_time(&peer, &peer_product, &peer_completion));
		seconds = least(seconds, device_time(&device, &product, &completion));
	}
	snprintf(text, sizeof(text), "mvm.%s%s.%ux%u.b%u", name,
		 product.transpose ? ".transpose" : "", product.rows, product.cols, product.batch);
	row(rivals, text, products / seconds / 1e9, "GMAC/s", "exact cells, same converters",
	    products / peer_seconds / 1e9);
	strcat(text, ".clip_rate");
	row(rivals, text, (double)completion.clips / (double)completion.conversions, "1/conversion",
	    "exact cells, same converters",
	    (double)peer_completion.clips / (double)peer_completion.conversions);
	device_close(&device);
	device_close(&peer);
}

/* Seconds to make the plane of a matrix, for each of its weights. */
static void bench_plane(struct rivals *rivals, const char *name, const char *settings)
{
	const uint32_t rows = 384, cols = 1536;
	double best = 1e9;
	struct device device;
	struct matrix *matrix;
	char text[160];

	device_open(&device, rivals->workers, rivals->threads, "isaac", settings);
	matrix = xbar_directory_find(device.xbar, device_matrix(&device, rows, cols));
	for (int turn = 0; turn < TURNS; turn++) {
		double start;

		xbar_analog_free(matrix->analog);
		matrix->analog = NULL;
		start = peak_now();
		if (!xbar_analog_get(device.xbar, matrix))
			exit(1);
		best = least(best, peak_now() - start);
	}
	snprintf(text, sizeof(text), "plane.%s.%ux%u", name, rows, cols);
	row(rivals, text, best * 1e9 / rows / cols, "ns/weight", NULL, 0);
	device_close(&device);
}

/* Bytes kept for each weight of a device that is full, with a plane, after products in both directions. */
static void bench_memory(struct rivals *rivals)
{
	struct product product = { .rows = 4096, .cols = 2048, .batch = 1 };
	struct lf_completion completion;
	struct device device;

	device_open(&device, rivals->workers, rivals->threads, "isaac", "tiles=4096," NOISE);
	product.matrix = device_matrix(&device, product.rows, product.cols);
	device_time(&device, &product, &completion);
	product.transpose = true;
	device_time(&device, &product, &completion);
	row(rivals, "memory.noise.bytes_per_weight",
	    (double)(device.bytes + device_heap(&device)) / ((double)product.rows * product.cols),
	    "byte", NULL, 0);
	device_close(&device);
}

int main(int argc, char **argv)
{
	static const struct product forward = { .rows = 384, .cols = 1536, .batch = 512 };
	static const struct product transpose = {
		.rows = 384, .cols = 1536, .batch = 512, .transpose = true
	};
	static const struct product single = { .rows = 384, .cols = 1536, .batch = 1 };
	struct rivals rivals = { .threads = 2 };

	if (argc > 1)
		rivals.threads = (uint32_t)strtoul(argv[1], NULL, 10);
	if (rivals.threads == 0 || rivals.threads > WORKERS_MOST) {
		fprintf(stderr, "bench_noise: threads: 1 .. %d\n", WORKERS_MOST);
		return 2;
	}
	rivals.workers = workers_start(rivals.threads);
	if (!rivals.workers) {
		fprintf(stderr, "bench_noise: threads cannot be had\n");
		return 1;
	}
	printf("[\n");
	bench_product(&rivals, "noise", NOISE, "adc_bits=6", forward);
	bench_product(&rivals, "noise", NOISE, "adc_bits=6", transpose);
	bench_product(&rivals, "noise", NOISE, "adc_bits=6", single);
	bench_product(&rivals, "cells", CELLS, "adc_bits=6", forward);
	bench_product(&rivals, "noise_of_conductance", NOISE ",read_noise_of=conductance",
		      "adc_bits=6", forward);
	bench_product(&rivals, "noise_before", NOISE ",adc_subtract=before",
		      "adc_bits=6,adc_subtract=before", forward);
	bench_product(&rivals, "noise_irdrop", NOISE WIRES ",ir_drop=fast", "adc_bits=6", forward);
	bench_plane(&rivals, "cells", NOISE);
	bench_plane(&rivals, "irdrop_fast", NOISE WIRES ",ir_drop=fast");
	bench_memory(&rivals);
	printf("\n]\n");
	workers_stop(rivals.workers);
	return 0;
}
