// SPDX-License-Identifier: GPL-2.0-only
/*
 * What /proc/<process>/fdinfo/<number> says of an open file: time on the crossbars, memory, energy. The
 * keys are an interface (Documentation/ABI/fdinfo-lf_accel) and never change.
 */
#include <linux/math64.h>

#include <drm/drm_file.h>
#include <drm/drm_print.h>

#include "lf_context.h"
#include "lf_fdinfo.h"
#include "lf_telemetry.h"

/**
 * lf_fdinfo_show() - struct drm_driver.show_fdinfo
 * @printer: where to
 * @file: whose work is told; its device may have gone
 */
void lf_fdinfo_show(struct drm_printer *printer, struct drm_file *file)
{
	struct lf_telemetry_block block;
	unsigned int i;

	lf_sums_block(&to_lf_context(file)->sums, &block);
	drm_printf(printer, "drm-engine-crossbar:\t%llu ns\n", le64_to_cpu(block.busy_ns));
	drm_show_memory_stats(printer, file);
	for (i = 0; i < LF_ENERGY_COMPONENTS; i++)
		drm_printf(printer, "lf_accel-energy-%s:\t%llu uJ\n", lf_energy_names[i],
			   div_u64(le64_to_cpu(block.energy_pj[i]), LF_PJ_PER_UJ));
	drm_printf(printer, "lf_accel-energy-total:\t%llu uJ\n",
		   div_u64(lf_energy_total_pj(&block), LF_PJ_PER_UJ));
}
