// SPDX-License-Identifier: MIT
/*
 * DRM_IOCTL_LF_QUERY, and what holds for all ioctls: sizes of older and newer programs, bad
 * pointers.
 */
#include <sys/ioctl.h>
#include <unistd.h>

#include <xf86drm.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

static void limits_make_sense(void)
{
	int fd = guest_open();
	struct drm_lf_device_info info = guest_info(fd);

	CHECK_EQUAL(info.hw_version >> 16, LF_HW_VERSION_MAJOR);
	CHECK(info.formats & 1u << LF_FORMAT_INT8);
	CHECK(info.queues >= 1 && info.queues < LF_QUEUES_MAX);
	CHECK(info.job_commands && info.job_buffers && info.job_matrices && info.job_syncs);
	CHECK(info.batch && info.matrices && info.matrix_rows && info.matrix_cols);
	CHECK(info.tiles && info.tile_rows && info.tile_cols && info.tile_weights);
	CHECK(info.buffer_bytes >= 1 << 20);
	CHECK(info.job_timeout_ms);
	CHECK_EQUAL(info.pad, 0);
	CHECK(!strcmp((char *)info.bus, "pci") || !strcmp((char *)info.bus, "platform"));
	CHECK(memchr(info.preset, 0, sizeof(info.preset)) && info.preset[0]);
	printf("# preset %s on %s, %u queues\n", (char *)info.preset, (char *)info.bus,
	       info.queues);
}

static void size_is_negotiated(void)
{
	int fd = guest_open();
	uint8_t answer[sizeof(struct drm_lf_device_info) + 64];
	struct drm_lf_query query = { .type = DRM_LF_QUERY_DEVICE };

	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_QUERY, &query));
	CHECK_EQUAL(query.size, sizeof(struct drm_lf_device_info));

	/* Of a larger buffer the rest is left alone, and so it is of a smaller one. */
	memset(answer, 0xa5, sizeof(answer));
	query.size = sizeof(answer);
	query.pointer = (uintptr_t)answer;
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_QUERY, &query));
	CHECK_EQUAL(query.size, sizeof(struct drm_lf_device_info));
	for (size_t i = sizeof(struct drm_lf_device_info); i < sizeof(answer); i++)
		CHECK_EQUAL(answer[i], 0xa5);

	memset(answer, 0xa5, sizeof(answer));
	query.size = 8;
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_QUERY, &query));
	for (size_t i = 8; i < sizeof(answer); i++)
		CHECK_EQUAL(answer[i], 0xa5);
}

static void bad_queries_are_refused(void)
{
	int fd = guest_open();
	struct drm_lf_query query = { .type = 1 };

	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_QUERY, &query), EINVAL);
	query = (struct drm_lf_query){ .size = 8, .pointer = 8 };
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_QUERY, &query), EFAULT);
	query = (struct drm_lf_query){ .size = 8, .pointer = UINT64_MAX - 3 };
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_QUERY, &query), EFAULT);
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_QUERY, NULL), EFAULT);
	CHECK_ERROR(guest_ioctl(fd, DRM_IO(DRM_COMMAND_BASE + DRM_LF_PRIORITY + 1), NULL), EINVAL);
}

/* A struct of a newer program: known part, then more. */
static void longer_structs_must_end_in_zeros(void)
{
	static const struct {
		unsigned int number;
		unsigned int size;
	} calls[] = {
		{ DRM_LF_QUERY, sizeof(struct drm_lf_query) },
		{ DRM_LF_BO_CREATE, sizeof(struct drm_lf_bo_create) },
		{ DRM_LF_BO_INFO, sizeof(struct drm_lf_bo_info) },
		{ DRM_LF_MATRIX_CREATE, sizeof(struct drm_lf_matrix_create) },
		{ DRM_LF_MATRIX_OPEN, sizeof(struct drm_lf_matrix_open) },
		{ DRM_LF_MATRIX_INFO, sizeof(struct drm_lf_matrix_info) },
		{ DRM_LF_MATRIX_COMMIT, sizeof(struct drm_lf_matrix_handle) },
		{ DRM_LF_MATRIX_PUBLISH, sizeof(struct drm_lf_matrix_publish) },
		{ DRM_LF_MATRIX_UNLINK, sizeof(struct drm_lf_matrix_unlink) },
		{ DRM_LF_MATRIX_CLOSE, sizeof(struct drm_lf_matrix_handle) },
		{ DRM_LF_MATRIX_LIST, sizeof(struct drm_lf_matrix_list) },
		{ DRM_LF_SUBMIT, sizeof(struct drm_lf_submit) },
		{ DRM_LF_TELEMETRY, sizeof(struct drm_lf_telemetry) },
		{ DRM_LF_QUOTA, sizeof(struct drm_lf_quota) },
	};
	int fd = guest_open();
	struct {
		struct drm_lf_query query;
		uint64_t more;
	} zeros = { .query.type = DRM_LF_QUERY_DEVICE };

	for (size_t i = 0; i < KTAP_COUNT(calls); i++) {
		uint8_t data[1024] = { 0 };
		unsigned long request =
			DRM_IOC(_IOC_READ | _IOC_WRITE, DRM_IOCTL_BASE,
				DRM_COMMAND_BASE + calls[i].number, calls[i].size + 8);

		data[calls[i].size + 7] = 1;
		printf("# call %u\n", calls[i].number);
		CHECK_ERROR(guest_ioctl(fd, request, data), E2BIG);
	}
	CHECK_OK(guest_ioctl(fd,
			     DRM_IOC(_IOC_READ | _IOC_WRITE, DRM_IOCTL_BASE,
				     DRM_COMMAND_BASE + DRM_LF_QUERY, sizeof(zeros)),
			     &zeros));
	CHECK_EQUAL(zeros.query.size, sizeof(struct drm_lf_device_info));
}

static void shorter_structs_are_padded(void)
{
	int fd = guest_open();
	struct drm_lf_query query = { .type = DRM_LF_QUERY_DEVICE };

	/* Without a pointer: as an older program that knows only type and size. */
	CHECK_OK(guest_ioctl(
		fd,
		DRM_IOC(_IOC_READ | _IOC_WRITE, DRM_IOCTL_BASE, DRM_COMMAND_BASE + DRM_LF_QUERY, 8),
		&query));
	CHECK_EQUAL(query.size, sizeof(struct drm_lf_device_info));
}

static void driver_is_named(void)
{
	int fd = guest_open();
	drmVersionPtr version = drmGetVersion(fd);

	CHECK(version);
	CHECK(!strcmp(version->name, "lf_accel"));
	drmFreeVersion(version);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(limits_make_sense),	       KTAP_TEST(size_is_negotiated),
		KTAP_TEST(bad_queries_are_refused),    KTAP_TEST(longer_structs_must_end_in_zeros),
		KTAP_TEST(shorter_structs_are_padded), KTAP_TEST(driver_is_named),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 60);
}
