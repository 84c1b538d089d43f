// SPDX-License-Identifier: MIT
/*
 * How fast the model multiplies, whole jobs, quantising and scaling included, and what it keeps in memory. Prints JSON rows of
 * {name, value, unit, peer, peer_value, limit, limit_value}; limits are the machine's own, measured by the same threads in
 * the same run.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/device.h"
#include "tests/bench/peak.h"

/* Four times the last-level cache of a current server: a gigabyte would not be more of a test. */
#define LARGE_ROWS   16384
#define LARGE_COLS   8192
#define LARGE_DEVICE "tiles=65536"

/*
 * All errors of cells at once, near what has been measured of filaments: writing with verify, relaxation, reading, stuck cells
 * and a finite ratio. Six bits, as the lossy path without them.
 */
#define ERRORS                                                                     \
	"adc_bits=6,program_sigma=0.03,verify_tolerance=0.02,verify_pulses=20,"    \
	"read_noise=0.01,relax_sigma=0.01,relax_sigma_slope=0.002,stuck_on=0.001," \
	"stuck_off=0.001,on_off_ratio=1000"

/* Wires of an ohm from cell to cell, in front of them a driver and behind them a converter of a kiloohm. */
#define WIRES "adc_bits=6,ir_drop=fast,wire_mohm=1000,driver_mohm=1000000,sense_mohm=1000000"

struct bench {
	struct workers *workers;
	uint32_t threads;
	bool later; /* rows were printed */
};

static void row(struct bench *bench, const char *name, double value, const char *unit,
		const char *limit, double limit_value)
{
	printf("%s  {\"name\": \"%s\", \"value\": %.4g, \"unit\": \"%s\", \"peer\": null, "
	       "\"peer_value\": null, ",
	       bench->later ? ",\n" : "", name, value, unit);
	if (limit && limit_value > 0)
		printf("\"limit\": \"%s\", \"limit_value\": %.4g}", limit, limit_value);
	else
		printf("\"limit\": null, \"limit_value\": null}");
	bench->later = true;
}

/*
 * Products with a new matrix, against the peak of integer products. The peak is measured before and after, so that both have
 * had the machine to the same degree.
 */
static void bench_product(struct bench *bench, struct device *device, const char *name,
			  struct product product)
{
	struct lf_completion completion;
	double seconds, products = (double)product.rows * product.cols * product.batch;
	double before, peak;
	char text[160];

	product.matrix = device_matrix(device, product.rows, product.cols);
	before = peak_int8(bench->workers, bench->threads);
	seconds = device_time(device, &product, &completion);
	peak = peak_int8(bench->workers, bench->threads);
	peak = (peak > before ? peak : before) / 1e9;
	snprintf(text, sizeof(text), "mvm.%s%s.%ux%u.b%u", name,
		 product.transpose ? ".transpose" : "", product.rows, product.cols, product.batch);
	row(bench, text, products / seconds / 1e9, "GMAC/s",
	    "int8 peak of the same threads, measured", peak);
	if (completion.clips) {
		strcat(text, ".clip_rate");
		row(bench, text, (double)completion.clips / (double)completion.conversions,
		    "1/conversion", NULL, 0);
	}
	device_delete(device, product.matrix);
}

/* Every member but the matrix. */
static const struct product forward512 = { .rows = 384, .cols = 1536, .batch = 512 };
static const struct product transpose512 = {
	.rows = 384, .cols = 1536, .batch = 512, .transpose = true
};
static const struct product single = { .rows = 384, .cols = 1536, .batch = 1 };

static void bench_exact(struct bench *bench)
{
	static const struct product shapes[] = {
		{ .rows = 1536, .cols = 384, .batch = 512 },
		{ .rows = 384, .cols = 384, .batch = 512 },
		{ .rows = 384, .cols = 640, .batch = 512 },
		{ .rows = 320, .cols = 384, .batch = 512 },
		{ .rows = 384, .cols = 1536, .batch = 128 },
		{ .rows = 384, .cols = 1536, .batch = 128, .transpose = true },
	};
	struct device device;

	device_open(&device, bench->workers, bench->threads, "ideal", NULL);
	bench_product(bench, &device, "ideal", forward512);
	bench_product(bench, &device, "ideal", transpose512);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		bench_product(bench, &device, "ideal", shapes[i]);
	bench_product(bench, &device, "ideal", single);
	device_close(&device);
	device_open(&device, bench->workers, bench->threads, "isaac", NULL);
	bench_product(bench, &device, "isaac", forward512);
	bench_product(bench, &device, "isaac", transpose512);
	device_close(&device);
}

static void bench_lossy(struct bench *bench)
{
	struct device device;

	device_open(&device, bench->workers, bench->threads, "isaac", "adc_bits=6");
	bench_product(bench, &device, "lossy6", forward512);
	bench_product(bench, &device, "lossy6", transpose512);
	bench_product(bench, &device, "lossy6", single);
	device_close(&device);
	device_open(&device, bench->workers, bench->threads, "isaac",
		    "adc_bits=6,adc_subtract=before");
	bench_product(bench, &device, "lossy6_before", forward512);
	bench_product(bench, &device, "lossy6_before", transpose512);
	device_close(&device);
}

/* The same with cells that err, and with wires that drop voltage; what was baked into a plane is there when time counts. */
static void bench_analog(struct bench *bench)
{
	struct device device;

	device_open(&device, bench->workers, bench->threads, "isaac", ERRORS);
	bench_product(bench, &device, "noise6", forward512);
	bench_product(bench, &device, "noise6", transpose512);
	device_close(&device);
	device_open(&device, bench->workers, bench->threads, "isaac", WIRES);
	bench_product(bench, &device, "irdrop6", forward512);
	device_close(&device);
}

/* One vector at a time through a matrix that no cache holds: the weights come from memory. */
static void bench_large(struct bench *bench)
{
	struct product product = { .rows = LARGE_ROWS, .cols = LARGE_COLS, .batch = 1 };
	struct lf_completion completion;
	struct device device;

	device_open(&device, bench->workers, bench->threads, "ideal", LARGE_DEVICE);
	product.matrix = device_matrix(&device, product.rows, product.cols);
	for (int transpose = 0; transpose < 2; transpose++) {
		double seconds, read;
		char text[160];

		product.transpose = transpose;
		seconds = device_time(&device, &product, &completion);
		read = peak_read(bench->workers, bench->threads, device.memory, device.bytes);
		snprintf(text, sizeof(text), "mvm.ideal%s.%ux%u.b1", transpose ? ".transpose" : "",
			 product.rows, product.cols);
		row(bench, text, (double)product.rows * product.cols / seconds / 1e9, "GB/s",
		    "memory read by the same threads, measured", read / 1e9);
	}
	device_close(&device);
}

/*
 * Bytes kept for each weight of a device that is full, after products in both directions: the non-volatile memory, and what
 * the model has allocated besides.
 */
static void bench_memory(struct bench *bench, const char *name, const char *preset,
			 const char *settings, uint32_t rows, uint32_t cols)
{
	struct product product = { .rows = rows, .cols = cols, .batch = 1 };
	struct lf_completion completion;
	struct device device;
	char text[160];

	device_open(&device, bench->workers, bench->threads, preset, settings);
	product.matrix = device_matrix(&device, product.rows, product.cols);
	device_time(&device, &product, &completion);
	product.transpose = true;
	device_time(&device, &product, &completion);
	snprintf(text, sizeof(text), "memory.%s.bytes_per_weight", name);
	row(bench, text, (double)(device.bytes + device_heap(&device)) / ((double)rows * cols),
	    "byte", NULL, 0);
	device_close(&device);
}

/* Devices of more and more tiles, all in use, on one thread: what a tile costs, and what each that was added takes. */
static void bench_growth(struct bench *bench)
{
	uint64_t before = 0;

	for (uint32_t tiles = 64; tiles <= 4096; tiles *= 4) {
		struct product product = { .rows = 1024, .cols = 2 * tiles, .batch = 96 };
		struct lf_completion completion;
		struct device device;
		char text[160], settings[32];
		double seconds;
		uint64_t bytes;

		snprintf(settings, sizeof(settings), "tiles=%u", tiles);
		device_open(&device, bench->workers, 1, "ideal", settings);
		product.matrix = device_matrix(&device, product.rows, product.cols);
		seconds = device_time(&device, &product, &completion);
		bytes = device.bytes + device_heap(&device);
		snprintf(text, sizeof(text), "growth.ideal.tiles%u.time_per_tile", tiles);
		row(bench, text, seconds * 1e9 / tiles, "ns", NULL, 0);
		if (before) {
			snprintf(text, sizeof(text), "growth.ideal.tiles%u.bytes_per_added_tile",
				 tiles);
			row(bench, text, (double)(bytes - before) / (tiles - tiles / 4), "byte",
			    NULL, 0);
		}
		before = bytes;
		device_close(&device);
	}
}

int main(int argc, char **argv)
{
	struct bench bench = { .threads = 2 };

	if (argc > 1)
		bench.threads = (uint32_t)strtoul(argv[1], NULL, 10);
	if (bench.threads == 0 || bench.threads > WORKERS_MOST) {
		fprintf(stderr, "bench_mvm: threads: 1 .. %d\n", WORKERS_MOST);
		return 2;
	}
	bench.workers = workers_start(bench.threads);
	if (!bench.workers) {
		fprintf(stderr, "bench_mvm: threads cannot be had\n");
		return 1;
	}

	printf("[\n");
	bench_exact(&bench);
	bench_lossy(&bench);
	bench_analog(&bench);
	bench_large(&bench);
	bench_memory(&bench, "ideal", "ideal", LARGE_DEVICE, LARGE_ROWS, LARGE_COLS);
	bench_memory(&bench, "lossy6", "isaac", "tiles=4096,adc_bits=6", 4096, 2048);
	bench_memory(&bench, "noise6", "isaac", "tiles=1024," ERRORS, 2048, 1024);
	bench_growth(&bench);
	printf("\n]\n");
	workers_stop(bench.workers);
	return 0;
}
