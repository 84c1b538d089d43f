// SPDX-License-Identifier: MIT
/*
 * Which peak this processor has.
 */
#include "tests/bench/peak.h"

uint64_t bench_peak_int8(uint64_t rounds)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
	    __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
		return bench_peak_int8_vnni(rounds);
#endif
	return 0;
}
