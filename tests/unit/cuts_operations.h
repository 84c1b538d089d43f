/* SPDX-License-Identifier: MIT */
/* The operations on a device that are cut, and what it holds before them. */
#ifndef TESTS_UNIT_CUTS_OPERATIONS_H
#define TESTS_UNIT_CUTS_OPERATIONS_H

#include "tests/unit/xbar_rig.h"

#define CUTS_OTHER  1001 /* the account whose quota is set */
#define CUTS_AGE_NS 1000000000000ull

enum operation {
	CREATE,
	PROGRAM,
	COMMIT,
	PUBLISH,
	RENAME,
	DELETE,
	SANITIZE,
	REFRESH,
	CALIBRATE,
	QUOTA,
	AGE,
	STICK,
	OPERATIONS,
};

extern const char *const cuts_operation_names[OPERATIONS];

/**
 * cuts_operate() - do an operation with what the device holds
 * @renamed: how often a matrix was renamed before; counted on
 *
 * Return: whether it had something to do, and did it.
 */
bool cuts_operate(struct rig *rig, enum operation operation, uint32_t *renamed);

/* A command of management; the status. */
uint16_t cuts_manage(struct rig *rig, uint16_t opcode, uint32_t matrix, uint32_t count);

/* 0: an empty device. 1: two matrices, one has a name; a dirty tile; a torn matrix, half of it programmed. */
void cuts_base(struct rig *rig, uint32_t base);

#endif
