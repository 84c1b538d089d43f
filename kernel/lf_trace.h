/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints. No pointers are stored: strings and numbers are copied.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM lf_accel

#if !defined(LF_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define LF_TRACE_H

#include <linux/tracepoint.h>

#include <drm/drm_device.h>

/* clang-format off */

TRACE_EVENT(lf_job_submit,
	TP_PROTO(struct drm_device *drm, u64 context, u64 fence, u32 commands, u32 buffers,
		 u32 matrices),
	TP_ARGS(drm, context, fence, commands, buffers, matrices),
	TP_STRUCT__entry(
		__string(device, dev_name(drm->dev))
		__field(u64, context)
		__field(u64, fence)
		__field(u32, commands)
		__field(u32, buffers)
		__field(u32, matrices)
	),
	TP_fast_assign(
		__assign_str(device);
		__entry->context = context;
		__entry->fence = fence;
		__entry->commands = commands;
		__entry->buffers = buffers;
		__entry->matrices = matrices;
	),
	TP_printk("%s context=%llu job=%llu commands=%u buffers=%u matrices=%u",
		  __get_str(device), __entry->context, __entry->fence, __entry->commands,
		  __entry->buffers, __entry->matrices)
);

TRACE_EVENT(lf_job_run,
	TP_PROTO(struct drm_device *drm, u64 context, u64 fence, u32 queue),
	TP_ARGS(drm, context, fence, queue),
	TP_STRUCT__entry(
		__string(device, dev_name(drm->dev))
		__field(u64, context)
		__field(u64, fence)
		__field(u32, queue)
	),
	TP_fast_assign(
		__assign_str(device);
		__entry->context = context;
		__entry->fence = fence;
		__entry->queue = queue;
	),
	TP_printk("%s context=%llu job=%llu queue=%u", __get_str(device), __entry->context,
		  __entry->fence, __entry->queue)
);

TRACE_EVENT(lf_job_done,
	TP_PROTO(struct drm_device *drm, u64 context, u64 fence, int error),
	TP_ARGS(drm, context, fence, error),
	TP_STRUCT__entry(
		__string(device, dev_name(drm->dev))
		__field(u64, context)
		__field(u64, fence)
		__field(int, error)
	),
	TP_fast_assign(
		__assign_str(device);
		__entry->context = context;
		__entry->fence = fence;
		__entry->error = error;
	),
	TP_printk("%s context=%llu job=%llu error=%d", __get_str(device), __entry->context,
		  __entry->fence, __entry->error)
);

TRACE_EVENT(lf_event,
	TP_PROTO(struct drm_device *drm, u32 events),
	TP_ARGS(drm, events),
	TP_STRUCT__entry(
		__string(device, dev_name(drm->dev))
		__field(u32, events)
	),
	TP_fast_assign(
		__assign_str(device);
		__entry->events = events;
	),
	TP_printk("%s events=%#x", __get_str(device), __entry->events)
);

TRACE_EVENT(lf_reset,
	TP_PROTO(struct drm_device *drm, u32 queue, bool timeout),
	TP_ARGS(drm, queue, timeout),
	TP_STRUCT__entry(
		__string(device, dev_name(drm->dev))
		__field(u32, queue)
		__field(bool, timeout)
	),
	TP_fast_assign(
		__assign_str(device);
		__entry->queue = queue;
		__entry->timeout = timeout;
	),
	TP_printk("%s queue=%u timeout=%d", __get_str(device), __entry->queue,
		  __entry->timeout)
);

/* clang-format on */

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE lf_trace
#include <trace/define_trace.h>
