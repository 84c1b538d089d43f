/* SPDX-License-Identifier: MIT */
/*
 * The host's random numbers: SplitMix64 (Steele, Lea and Flood 2014, 10.1145/2660193.2660195). The state is one word, so that a
 * checkpoint can hold it.
 */
#ifndef LF_RUNTIME_ADAPT_RANDOM_H
#define LF_RUNTIME_ADAPT_RANDOM_H

#include <stdint.h>

struct lf_random {
	uint64_t state;
};

static inline uint64_t lf_random_next(struct lf_random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* What a seed is asked for; each use draws from a stream of its own. */
enum lf_random_use {
	LF_RANDOM_START,     /* initial parameters */
	LF_RANDOM_ORDER,     /* examples of an epoch */
	LF_RANDOM_POOL,	     /* modules of a pool */
	LF_RANDOM_BOOTSTRAP, /* resampling */
	LF_RANDOM_SAMPLE,    /* training examples of a task */
	LF_RANDOM_FROZEN,    /* matrices that are not trained */
	LF_RANDOM_SEARCH,    /* candidates of a search */
};

/** lf_random_seed() - start the stream of a seed for one use; @part tells e.g. epochs apart */
static inline void lf_random_seed(struct lf_random *random, uint64_t seed, enum lf_random_use use,
				  uint64_t part)
{
	/* Each word goes through the mixer, so that neighbours have nothing in common. */
	random->state = seed;
	random->state = lf_random_next(random) ^ use;
	random->state = lf_random_next(random) ^ part;
	random->state = lf_random_next(random);
}

/** lf_random_uniform() - a number in [-bound, bound) */
static inline float lf_random_uniform(struct lf_random *random, float bound)
{
	/* 24 bits are exact in a float. */
	float unit = (float)(lf_random_next(random) >> 40) * 0x1p-24f;

	return (2.0f * unit - 1.0f) * bound;
}

/** lf_random_below() - an integer in 0 .. limit - 1, all alike likely to one in 2^32 */
static inline uint32_t lf_random_below(struct lf_random *random, uint32_t limit)
{
	return (uint32_t)(((lf_random_next(random) >> 32) * limit) >> 32);
}

#endif
