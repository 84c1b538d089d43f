/* SPDX-License-Identifier: MIT */
/*
 * An allocator that counts, and fails when it is told to, in place of the C library's: malloc(), calloc(), realloc() and
 * aligned_alloc() of the whole program, of all threads. Only programs named test_*_allocation are linked with it.
 */
#ifndef LF_TESTS_ALLOCATION_FIXTURE_H
#define LF_TESTS_ALLOCATION_FIXTURE_H

#include <stddef.h>

/* The @nth allocation from here on fails, and only that; 0: none does. */
void allocation_fail(unsigned long nth);

/* How many allocations there are to go until the one that fails; 0 when none shall, or it has. */
unsigned long allocation_to_go(void);

/* How many allocations the program has asked for. */
unsigned long allocation_count(void);

/* malloc() that is not counted and does not fail. */
void *allocation_uncounted(size_t size);

#endif
