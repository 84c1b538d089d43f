// SPDX-License-Identifier: MIT
/* The allocator of the tests of allocations; see allocation_fixture.h. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "tests/unit/allocation_fixture.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_SANITIZER 1
#endif
#endif

/* The allocator behind this program's malloc(): the sanitizer's, or the C library's. */
#ifdef WITH_SANITIZER
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif
void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t count, size_t size);
void *REAL(realloc)(void *block, size_t size);
void *REAL(memalign)(size_t alignment, size_t size);

static atomic_ulong to_go, count;

/* Counts an allocation; whether it is the one that fails. */
static bool fails(void)
{
	unsigned long before = atomic_load(&to_go);

	atomic_fetch_add(&count, 1);
	while (before && !atomic_compare_exchange_weak(&to_go, &before, before - 1))
		;
	return before == 1;
}

void *malloc(size_t size)
{
	return fails() ? NULL : REAL(malloc)(size);
}

void *calloc(size_t elements, size_t size)
{
	return fails() ? NULL : REAL(calloc)(elements, size);
}

void *realloc(void *block, size_t size)
{
	return fails() ? NULL : REAL(realloc)(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : REAL(memalign)(alignment, size);
}

void allocation_fail(unsigned long nth)
{
	atomic_store(&to_go, nth);
}

unsigned long allocation_to_go(void)
{
	return atomic_load(&to_go);
}

unsigned long allocation_count(void)
{
	return atomic_load(&count);
}

void *allocation_uncounted(size_t size)
{
	return REAL(malloc)(size);
}
