// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bodies of the tracepoints; sparse cannot read what the macros make of them.
 */
#ifndef __CHECKER__
#define CREATE_TRACE_POINTS
#include "lf_trace.h"
#endif
