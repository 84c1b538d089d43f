// SPDX-License-Identifier: MIT
/* One line of a crossbar; see irdrop_ladder.h. */
#include "irdrop_ladder.h"

void xbar_irdrop_attenuation(const struct irdrop_line *line, const double *siemens, uint32_t count,
			     int64_t stride, double *attenuation)
{
	double seen = 0, potential = 1;

	/* From the far end: what node k and all behind it conduct. Kept in the place of its result. */
	for (int64_t k = (int64_t)count - 1; k >= 0; k--) {
		seen = siemens[k * stride] + seen / (1 + line->wire_ohm * seen);
		attenuation[k * stride] = seen;
	}
	for (int64_t k = 0; k < count; k++) {
		double ohm = k ? line->wire_ohm : line->end_ohm;

		potential /= 1 + ohm * attenuation[k * stride];
		attenuation[k * stride] = potential;
	}
}

void xbar_irdrop_admittance(const struct irdrop_line *line, const double *siemens, uint32_t count,
			    double *work, double *admittance, uint32_t stride, double *injected,
			    uint32_t injected_stride)
{
	double *behind =
		work; /* conductance of what lies behind node k, its own cell not counted */
	double *right = behind + count; /* potential of node k for 1 at node k - 1 */
	double *left = right + count;	/* potential of node k - 1 for 1 at node k */
	double *source_ohm =
		left +
		count; /* between node k and ground, through the source and the cells before it */
	double *potential = source_ohm + count;
	double seen = 0;

	for (uint32_t k = count; k-- > 0;) {
		behind[k] = seen / (1 + line->wire_ohm * seen);
		seen = siemens[k] + behind[k];
		right[k] = 1 / (1 + (k ? line->wire_ohm : line->end_ohm) * seen);
	}
	source_ohm[0] = line->end_ohm;
	left[0] = 0;
	for (uint32_t k = 1; k < count; k++) {
		double before = source_ohm[k - 1] / (1 + siemens[k - 1] * source_ohm[k - 1]);

		source_ohm[k] = line->wire_ohm + before;
		/* Both 0: all up to the source is at ground. */
		left[k] = source_ohm[k] > 0 ? before / source_ohm[k] : 0;
	}
	potential[0] = right[0];
	for (uint32_t k = 1; k < count; k++)
		potential[k] = potential[k - 1] * right[k];
	for (uint32_t k = 0; k < count; k++)
		injected[(uint64_t)k * injected_stride] = siemens[k] * potential[k];

	for (uint32_t j = 0; j < count; j++) {
		double *row = admittance + (uint64_t)j * stride;
		double loaded = 1 + source_ohm[j] * behind[j];
		double node = source_ohm[j] / (loaded + source_ohm[j] * siemens[j]);

		/* 1 behind cell j raises its node by g * node; 1 - g * node without the difference. */
		row[j] += siemens[j] * (loaded / (loaded + source_ohm[j] * siemens[j]));
		node *= siemens[j];
		for (uint32_t c = j; c-- > 0;) {
			node *= left[c + 1];
			row[c] -= siemens[c] * node;
		}
	}
}
