// SPDX-License-Identifier: MIT
/* The part of lf/device.h that all devices share: which one a specification means, and buffers. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/device/backend.h"

/* Of the die, millidegrees Celsius. */
#define LOWEST_MC  (-55000)
#define HIGHEST_MC 200000

/* Whether a specification begins with this kind of device and no longer word. */
static bool is_kind(const char *specification, const char *kind)
{
	size_t length = strlen(kind);

	return !strncmp(specification, kind, length) &&
	       (!specification[length] || strchr(":,", specification[length]));
}

int lf_device_open(const char *specification, struct lf_device **device, struct lf_error *error)
{
	char path[sizeof(((struct lf_device_info *)NULL)->path)];

	*device = NULL;
	if (!specification)
		specification = lf_drm_find(path, sizeof(path)) ? path : "inproc:ideal";
	if (strlen(specification) >= sizeof(path))
		return lf_error_set(error, -EINVAL, "device specification is longer than %zu bytes",
				    sizeof(path) - 1);
	if (specification[0] == '/')
		return lf_drm_open(specification, device, error);
	if (is_kind(specification, "inproc"))
		return lf_inproc_open(specification, device, error);
	return lf_error_set(error, -EINVAL,
			    "device \"%s\": neither a path such as /dev/accel/accel0 nor "
			    "inproc[:preset][,key=value...]",
			    specification);
}

void lf_device_close(struct lf_device *device)
{
	if (device)
		device->backend->close(device);
}

const struct lf_device_info *lf_device_info(const struct lf_device *device)
{
	return &device->info;
}

int lf_device_counters(struct lf_device *device, struct lf_counters *counters,
		       struct lf_error *error)
{
	memset(counters, 0, sizeof(*counters));
	return device->backend->counters(device, counters, error);
}

int lf_device_telemetry(struct lf_device *device, struct lf_telemetry *telemetry,
			struct lf_error *error)
{
	memset(telemetry, 0, sizeof(*telemetry));
	return device->backend->telemetry(device, telemetry, error);
}

/* What only a device in the process can be told; another has its own time and surroundings. */
static int refuse_modelled(const struct lf_device *device, const char *what, struct lf_error *error)
{
	return lf_error_set(error, -EOPNOTSUPP,
			    "%s: not through the driver of %s; QEMU sets it by a property of the "
			    "device",
			    what, device->info.path);
}

int lf_device_advance(struct lf_device *device, uint64_t nanoseconds, struct lf_error *error)
{
	if (!device->backend->advance)
		return refuse_modelled(device, "modelled time", error);
	device->backend->advance(device, nanoseconds);
	return 0;
}

int lf_device_set_temperature(struct lf_device *device, int32_t temperature_mc,
			      struct lf_error *error)
{
	if (!device->backend->set_temperature)
		return refuse_modelled(device, "temperature", error);
	if (temperature_mc < LOWEST_MC || temperature_mc > HIGHEST_MC)
		return lf_error_set(error, -EINVAL,
				    "temperature: %d millidegrees Celsius, possible are %d .. %d",
				    temperature_mc, LOWEST_MC, HIGHEST_MC);
	device->backend->set_temperature(device, temperature_mc);
	return 0;
}

int lf_device_events(struct lf_device *device, uint32_t *events, struct lf_error *error)
{
	*events = 0;
	if (!device->backend->events)
		return lf_error_set(error, -EOPNOTSUPP,
				    "events: the driver of %s sends them by generic netlink",
				    device->info.path);
	*events = device->backend->events(device);
	return 0;
}

const char *lf_effect_name(enum lf_effect effect)
{
	static const char *const names[LF_EFFECTS] = {
		[LF_EFFECT_PROGRAMMING] = "programming noise",
		[LF_EFFECT_READ_NOISE] = "read noise",
		[LF_EFFECT_RELAXATION] = "relaxation",
		[LF_EFFECT_RETENTION] = "retention",
		[LF_EFFECT_STUCK] = "stuck cells",
		[LF_EFFECT_ON_OFF_RATIO] = "finite on/off ratio",
		[LF_EFFECT_IR_DROP] = "IR drop",
		[LF_EFFECT_ENDURANCE] = "endurance",
		[LF_EFFECT_TEMPERATURE] = "temperature",
	};

	return (unsigned int)effect < LF_EFFECTS ? names[effect] : NULL;
}

int lf_device_quota(struct lf_device *device, uint32_t account, const uint64_t *new_quota_cells,
		    struct lf_account *quota, struct lf_error *error)
{
	struct lf_account state = { 0 };
	int err = device->backend->quota(device, account, new_quota_cells, &state, error);

	if (!err && quota)
		*quota = state;
	return err;
}

int lf_buffer_create(struct lf_device *device, size_t bytes, struct lf_buffer **buffer,
		     struct lf_error *error)
{
	uint64_t limit = device->info.buffer_bytes;
	struct lf_buffer *made;
	int err;

	*buffer = NULL;
	if (!bytes || bytes > limit)
		return lf_error_set(error, -EINVAL, "buffer of %zu bytes: 1 .. %llu are possible",
				    bytes, (unsigned long long)limit);
	made = calloc(1, sizeof(*made));
	if (!made)
		return lf_error_set(error, -ENOMEM, "buffer of %zu bytes: out of memory", bytes);
	made->device = device;
	made->bytes = (bytes + LF_PAGE_BYTES - 1) / LF_PAGE_BYTES * LF_PAGE_BYTES;
	err = device->backend->buffer_create(made, error);
	if (err) {
		free(made);
		return err;
	}
	*buffer = made;
	return 0;
}

void lf_buffer_destroy(struct lf_buffer *buffer)
{
	if (!buffer)
		return;
	buffer->device->backend->buffer_destroy(buffer);
	free(buffer);
}

void *lf_buffer_data(const struct lf_buffer *buffer)
{
	return buffer->data;
}

size_t lf_buffer_bytes(const struct lf_buffer *buffer)
{
	return buffer->bytes;
}
