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

/* All that can be wrong with cells, their reading and their wires at once. */
#define EVERYTHING                                                                                \
	"adc_bits=6,program_sigma=0.03,verify_tolerance=0.02,verify_pulses=20,"                   \
	"read_noise=0.01,relax_sigma=0.01,relax_sigma_slope=0.002,stuck_on=0.001,"                \
	"stuck_off=0.001,on_off_ratio=1000,endurance=1000000,endurance_spread=1,"                 \
	"retention_s=100000000,retention_activation_mev=1100,temperature_coefficient=0.002" WIRES \
	",ir_drop=fast"

/* What a weight may take with all of that. */
#define LIMIT_BYTES 16.0

/* A device that is measured beside another: of the same converters, but for @settings. */
struct rivals {
	struct workers *workers;
	uint32_t threads;
	bool later; /* rows were printed */
};

static void limited_row(struct rivals *rivals, const char *name, double value, const char *unit,
			const char *peer, double peer_value, const char *limit, double limit_value)
{
	printf("%s  {\"name\": \"%s\", \"value\": %.4g, \"unit\": \"%s\", ",
	       rivals->later ? ",\n" : "", name, value, unit);
	if (peer)
		printf("\"peer\": \"%s\", \"peer_value\": %.4g, ", peer, peer_value);
	else
		printf("\"peer\": null, \"peer_value\": null, ");
	if (limit)
		printf("\"limit\": \"%s\", \"limit_value\": %.4g}", limit, limit_value);
	else
		printf("\"limit\": null, \"limit_value\": null}");
	rivals->later = true;
}

static void row(struct rivals *rivals, const char *name, double value, const char *unit,
		const char *peer, double peer_value)
{
	limited_row(rivals, name, value, unit, peer, peer_value, NULL, 0);
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

/* Bytes kept by a device of which a matrix fills all tiles, with a plane, after products in both directions. */
static uint64_t kept(struct rivals *rivals, const char *settings, uint32_t rows, uint32_t cols)
{
	struct product product = { .rows = rows, .cols = cols, .batch = 1 };
	struct lf_completion completion;
	struct device device;
	uint64_t bytes;

	device_open(&device, rivals->workers, rivals->threads, "isaac", settings);
	product.matrix = device_matrix(&device, product.rows, product.cols);
	device_time(&device, &product, &completion);
	product.transpose = true;
	device_time(&device, &product, &completion);
	bytes = device.bytes + device_heap(&device);
	device_close(&device);
	return bytes;
}

static void bench_memory(struct rivals *rivals, const char *name, const char *settings)
{
	const uint32_t rows = 2048, cols = 1024;
	char text[160], all[512];

	snprintf(all, sizeof(all), "tiles=1024,%s", settings);
	snprintf(text, sizeof(text), "memory.%s.bytes_per_weight", name);
	limited_row(rivals, text, (double)kept(rivals, all, rows, cols) / rows / cols, "byte", NULL,
		    0, "what a weight may take with everything on", LIMIT_BYTES);
}

/* What each tile takes that devices are larger by. */
static void bench_growth(struct rivals *rivals)
{
	uint64_t before = 0;

	for (uint32_t tiles = 64; tiles <= 1024; tiles *= 4) {
		char text[160], settings[256];
		uint64_t bytes;

		snprintf(settings, sizeof(settings), "tiles=%u," NOISE, tiles);
		bytes = kept(rivals, settings, 1024, 2 * tiles);
		snprintf(text, sizeof(text), "growth.noise.tiles%u.bytes_per_added_tile", tiles);
		if (before)
			row(rivals, text, (double)(bytes - before) / (tiles - tiles / 4), "byte",
			    NULL, 0);
		before = bytes;
	}
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
	bench_memory(&rivals, "noise", NOISE);
	bench_memory(&rivals, "everything", EVERYTHING);
	bench_growth(&rivals);
	printf("\n]\n");
	workers_stop(rivals.workers);
	return 0;
}
