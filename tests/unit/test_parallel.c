// SPDX-License-Identifier: MIT
/* The pool of threads: every iteration once, same results for any pool, nested and concurrent. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <lf/parallel.h>

#include "tests/unit/suite.h"

#define ITERATIONS 1000

struct loop {
	struct lf_parallel *pool;
	atomic_uint runs[ITERATIONS];
	double result[ITERATIONS];
};

static void iterate(void *argument, size_t index)
{
	struct loop *loop = argument;

	atomic_fetch_add(&loop->runs[index], 1);
	loop->result[index] = 1.0 / (double)(index + 1);
}

static struct lf_parallel *create(unsigned int threads)
{
	struct lf_parallel *pool = NULL;

	ck_assert_int_eq(lf_parallel_create(&pool, threads, NULL), 0);
	return pool;
}

START_TEST(each_iteration_runs_once)
{
	static const size_t counts[] = { 0, 1, 2, 3, 7, 8, 9, ITERATIONS };
	struct lf_parallel *pool = create((unsigned int)_i);

	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		struct loop loop = { 0 };

		lf_parallel_for(pool, counts[c], iterate, &loop);
		for (size_t i = 0; i < ITERATIONS; i++) {
			ck_assert_uint_eq(atomic_load(&loop.runs[i]), i < counts[c]);
			ck_assert_double_eq(loop.result[i],
					    i < counts[c] ? 1.0 / (double)(i + 1) : 0);
		}
	}
	lf_parallel_destroy(pool);
}
END_TEST

/* Loops in a row with pauses between some of them: workers that spin and workers that sleep. */
START_TEST(many_loops_lose_none)
{
	struct lf_parallel *pool = create(4);
	struct loop loop = { 0 };

	for (unsigned int round = 1; round <= 3000; round++) {
		lf_parallel_for(pool, 16, iterate, &loop);
		for (size_t i = 0; i < 16; i++)
			ck_assert_uint_eq(atomic_load(&loop.runs[i]), round);
		if (round % 500 == 0)
			usleep(20000);
	}
	lf_parallel_destroy(pool);
}
END_TEST

static void iterate_nested(void *argument, size_t index)
{
	struct loop *loops = argument;

	lf_parallel_for(loops[index].pool, ITERATIONS, iterate, &loops[index]);
}

static void expect_all_once(struct loop *loops, size_t count)
{
	for (size_t l = 0; l < count; l++) {
		for (size_t i = 0; i < ITERATIONS; i++)
			ck_assert_uint_eq(atomic_load(&loops[l].runs[i]), 1);
	}
}

START_TEST(a_loop_inside_a_loop_ends)
{
	struct lf_parallel *pool = create(3);
	struct loop *loops = calloc(8, sizeof(*loops));

	for (size_t l = 0; l < 8; l++)
		loops[l].pool = pool;
	lf_parallel_for(pool, 8, iterate_nested, loops);
	expect_all_once(loops, 8);
	free(loops);
	lf_parallel_destroy(pool);
}
END_TEST

static void *call_from_thread(void *argument)
{
	struct loop *loop = argument;

	lf_parallel_for(loop->pool, ITERATIONS, iterate, loop);
	return NULL;
}

START_TEST(callers_may_be_concurrent)
{
	struct lf_parallel *pool = create(3);

	for (int round = 0; round < 50; round++) {
		struct loop *loops = calloc(4, sizeof(*loops));
		pthread_t thread[4];

		for (size_t l = 0; l < 4; l++) {
			loops[l].pool = pool;
			ck_assert_int_eq(
				pthread_create(&thread[l], NULL, call_from_thread, &loops[l]), 0);
		}
		for (size_t l = 0; l < 4; l++)
			pthread_join(thread[l], NULL);
		expect_all_once(loops, 4);
		free(loops);
	}
	lf_parallel_destroy(pool);
}
END_TEST

START_TEST(threads_are_counted_and_limited)
{
	struct lf_parallel *pool = NULL;
	struct lf_error error = { 0 };

	ck_assert_int_eq(lf_parallel_create(&pool, LF_PARALLEL_THREADS_MAX + 1, &error), -EINVAL);
	ck_assert_ptr_null(pool);
	ck_assert_msg(error.code == -EINVAL && error.text[0], "no message");
	ck_assert_uint_eq(lf_parallel_threads(NULL), 1);
	pool = create(0);
	ck_assert_uint_ge(lf_parallel_threads(pool), 1);
	lf_parallel_destroy(pool);
	pool = create(5);
	ck_assert_uint_eq(lf_parallel_threads(pool), 5);
	lf_parallel_destroy(pool);
	lf_parallel_destroy(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("parallel");
	TCase *tests = tcase_create("pool");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, each_iteration_runs_once, 1, 10);
	tcase_add_test(tests, many_loops_lose_none);
	tcase_add_test(tests, a_loop_inside_a_loop_ends);
	tcase_add_test(tests, callers_may_be_concurrent);
	tcase_add_test(tests, threads_are_counted_and_limited);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
