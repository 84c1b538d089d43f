// SPDX-License-Identifier: MIT
/*
 * What the device tells of itself between jobs, and what is done to it from outside: events, the temperature of the die, cells
 * that are made to be stuck. The events' meanings are LF_EVENT_*.
 */
#include "job.h"

void xbar_raise(struct xbar *xbar, uint32_t events)
{
	xbar->events |= events;
}

uint32_t xbar_take_events(struct xbar *xbar)
{
	uint32_t events = xbar->events;

	xbar->events = 0;
	return events;
}

/* The cells of every matrix conduct otherwise than they did. */
static void cells_have_changed(struct xbar *xbar)
{
	for (uint32_t i = 0; i < xbar->params.matrices; i++)
		xbar->matrices[i].generation++;
}

void xbar_set_temperature(struct xbar *xbar, int32_t millidegrees)
{
	const int32_t limit = xbar->params.temperature_max_mc;

	if ((xbar->temperature_mc >= limit) != (millidegrees >= limit))
		xbar_raise(xbar, LF_EVENT_THERMAL);
	if (xbar->temperature_mc == millidegrees)
		return;
	xbar->temperature_mc = millidegrees;
	if (xbar->params.temperature_coefficient || xbar->params.retention_activation_mev)
		cells_have_changed(xbar);
}

void xbar_inject_stuck(struct xbar *xbar, uint32_t parts)
{
	uint64_t room = XBAR_ONE - xbar->counters.stuck_parts;

	xbar->counters.stuck_parts += parts < room ? parts : room;
	xbar_device_store_counters(xbar, true);
	cells_have_changed(xbar);
}

/* Commands that neither drive nor write a cell nor compute: they may be executed at any temperature. */
static bool stays_cold(const struct lf_command *command)
{
	switch (command->opcode) {
	case LF_OP_BARRIER:
	case LF_OP_COMMIT:
	case LF_OP_PUBLISH:
	case LF_OP_DELETE:
	case LF_OP_LIST:
	case LF_OP_ACCOUNT:
		return true;
	default:
		return false;
	}
}

uint16_t xbar_check_temperature(const struct xbar_job *job, uint32_t *failed_command)
{
	const struct xbar *xbar = job->xbar;

	if (xbar->temperature_mc < xbar->params.temperature_critical_mc)
		return LF_STATUS_OK;
	for (uint32_t i = 0; i < job->request.command_count; i++) {
		if (stays_cold(&job->request.commands[i]))
			continue;
		*failed_command = i;
		return LF_STATUS_THERMAL;
	}
	return LF_STATUS_OK;
}
