/* SPDX-License-Identifier: MIT */
/*
 * Matrices that go to a device together or not at all: they are collected on the host, all get their tiles, and only then is
 * the first cell written. So what is wrong with a file, a name that is taken and a device that is full are found while
 * nothing has changed.
 */
#ifndef LF_RUNTIME_NN_DEPLOYMENT_H
#define LF_RUNTIME_NN_DEPLOYMENT_H

#include <lf/encoder.h>

#include "runtime/nn/linear.h"

struct lf_deployment_entry;

/** struct lf_deployment - zeroes are an empty one */
struct lf_deployment {
	struct lf_deployment_entry *entries;
	uint32_t count;
	uint32_t capacity;
};

/** lf_deployment_add() - add @weight under @name; the weight is taken over, also on failure */
int lf_deployment_add(struct lf_deployment *deployment, const char *name, struct lf_weight *weight,
		      struct lf_error *error);

/**
 * struct lf_deployment_target - where a deployment goes
 * @device: the device
 * @mode: read permission bits
 * @progress: told after each matrix, may be NULL
 * @argument: for @progress
 * @counters: what it cost is added, may be NULL
 */
struct lf_deployment_target {
	struct lf_device *device;
	uint32_t mode;
	lf_progress progress;
	void *argument;
	struct lf_counters *counters;
};

/**
 * lf_deployment_run() - program and publish all
 * Return: 0; on failure nothing of it is on the device: -EEXIST (a name), -ENOSPC, what programming fails with.
 */
int lf_deployment_run(struct lf_deployment *deployment, const struct lf_deployment_target *target,
		      struct lf_error *error);

/** lf_deployment_release() - free what was collected */
void lf_deployment_release(struct lf_deployment *deployment);

/** lf_encoder_stage() - add the linear layers of a model, having checked all of its files' tensors */
int lf_encoder_stage(struct lf_deployment *deployment, const char *directory, const char *name,
		     uint32_t format, struct lf_error *error);

#endif
