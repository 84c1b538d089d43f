/* SPDX-License-Identifier: MIT */
/* Jobs of one MVM on analog cells, and what they must give, computed straight from the rules: cell by cell, with noise. */
#ifndef TESTS_UNIT_READS_FIXTURE_H
#define TESTS_UNIT_READS_FIXTURE_H

#include "tests/unit/xbar_rig.h"

/* A device with one matrix, and int8 inputs, or, with scales for every row of tiles, floats. */
struct job {
	struct rig rig;
	uint32_t rows;
	uint32_t cols;
	uint32_t count;
	uint32_t matrix;
	bool transpose;
	int8_t *weights;
	int8_t *input;
	float *floats;
	float *scale;
	float *output;
	float *partials;
};

/* One command of a job, computed directly; @clips counts the conversions that clip, @key is of its draws. */
struct reference {
	const struct job *job;
	const struct xbar *xbar;
	const struct matrix *matrix;
	const struct analog *analog;
	uint32_t key[2];
	uint64_t clips;
};

/* Zeroed memory for @count things, and one more; for free(). */
void *reads_need(size_t count, size_t bytes);

/* Weights and int8 inputs of a job of some size, and room for its output. */
void reads_make_data(struct job *job, uint64_t *state);

/* As many scales as there could be rows of tiles, which have four rows or more, and floats as inputs. */
void reads_make_scales(struct job *job, uint64_t *state);
void reads_free_data(struct job *job);

/* A device of its own, with the matrix of the job; rig_close(&job->rig) ends it. */
void reads_open(struct job *job, const char *settings, const char *simd);

/* Runs @commands times the same MVM as job @number; the last one's results are in job->output. */
void reads_run(struct job *job, uint64_t number, uint32_t commands);

/* The reference for a command of job @number. */
void reads_reference_start(struct reference *reference, const struct job *job, uint64_t number,
			   uint32_t command);

/* Conductance of the cell of one weight of the matrix, in units of the plane. */
double reads_cell(const struct reference *reference, uint32_t row, uint32_t col, uint32_t slice,
		  uint32_t side);

/* Results of a vector. */
uint32_t reads_outputs(const struct job *job);

/* Groups of inputs that are converted together. */
uint32_t reads_groups(const struct job *job);

/* What one group adds to the result of one vector and output. */
double reads_group(struct reference *reference, uint32_t v, uint32_t output, uint32_t group);

/* The result of one vector and output. */
double reads_reference_output(struct reference *reference, uint32_t v, uint32_t output);

#endif
