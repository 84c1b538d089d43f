// SPDX-License-Identifier: MIT
/* Which kernel table this CPU can run and which one was asked for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/simd/tables.h"

static const char *const names[LF_SIMD_ISA_COUNT] = {
	[LF_SIMD_SCALAR] = "scalar",
	[LF_SIMD_AVX2] = "avx2",
	[LF_SIMD_AVX512] = "avx512",
	[LF_SIMD_NEON] = "neon",
};

const char *lf_simd_name(enum lf_simd_isa isa)
{
	return (unsigned int)isa < LF_SIMD_ISA_COUNT ? names[isa] : NULL;
}

/* The compiler's check asks the CPU and whether the system saves the registers. */
const struct lf_simd_ops *lf_simd_ops_of(enum lf_simd_isa isa)
{
	switch (isa) {
	case LF_SIMD_SCALAR:
		return &lf_simd_ops_scalar;
#if defined(__x86_64__)
	case LF_SIMD_AVX2:
		return __builtin_cpu_supports("avx2") ? &lf_simd_ops_avx2 : NULL;
	case LF_SIMD_AVX512:
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
				       __builtin_cpu_supports("avx512vl") &&
				       __builtin_cpu_supports("avx512dq")
			       ? &lf_simd_ops_avx512
			       : NULL;
#elif defined(__aarch64__)
	case LF_SIMD_NEON: /* a mandatory part of 64-bit Linux on arm */
		return &lf_simd_ops_neon;
#endif
	default:
		return NULL;
	}
}

bool lf_simd_supported(enum lf_simd_isa isa)
{
	return lf_simd_ops_of(isa);
}

int lf_simd_choose(const char *name, enum lf_simd_isa *isa, struct lf_error *error)
{
	const char *asked_by = name ? "" : LF_SIMD_ENVIRONMENT "=";

	if (!name)
		name = getenv(LF_SIMD_ENVIRONMENT);
	if (!name || !strcmp(name, "auto")) {
		int widest = LF_SIMD_ISA_COUNT - 1;

		while (!lf_simd_supported(widest))
			widest--;
		*isa = widest;
		return 0;
	}
	for (int i = 0; i < LF_SIMD_ISA_COUNT; i++) {
		if (strcmp(name, names[i]))
			continue;
		if (!lf_simd_supported(i))
			return lf_error_set(error, -EOPNOTSUPP,
					    "%s%s: this CPU cannot run these kernels", asked_by,
					    name);
		*isa = i;
		return 0;
	}
	return lf_error_set(error, -EINVAL,
			    "%s%s: no such instruction set; use auto, scalar, avx2, avx512 or neon",
			    asked_by, name);
}

int lf_simd_ops_choose(const char *name, const struct lf_simd_ops **ops, struct lf_error *error)
{
	enum lf_simd_isa isa = LF_SIMD_SCALAR;
	int status = lf_simd_choose(name, &isa, error);

	if (!status)
		*ops = lf_simd_ops_of(isa);
	return status;
}
