// SPDX-License-Identifier: MIT
/*
 * Buffers: sizes, contents, mappings, PRIME, accounting.
 */
#include <fcntl.h>
#include <glob.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <xf86drm.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

static void is_zeroed_and_page_sized(void)
{
	static const uint64_t sizes[] = { 1, 4095, 4096, 4097, 1 << 20 };
	int fd = guest_open();

	for (size_t i = 0; i < KTAP_COUNT(sizes); i++) {
		struct guest_buffer buffer = guest_buffer(fd, sizes[i]);
		const uint8_t *bytes = buffer.memory;

		CHECK_EQUAL(buffer.size % (uint64_t)sysconf(_SC_PAGESIZE), 0);
		for (uint64_t j = 0; j < buffer.size; j++)
			CHECK_EQUAL(bytes[j], 0);
		memset(buffer.memory, 0x5a, buffer.size);
		guest_buffer_close(fd, &buffer);
	}
}

static void bad_sizes_are_refused(void)
{
	int fd = guest_open();
	uint64_t most = guest_info(fd).buffer_bytes;
	const uint64_t sizes[] = { 0,	      most + 1,	  1ull << 31 << 20, UINT32_MAX * 4096ull,
				   INT64_MAX, UINT64_MAX, UINT64_MAX - 4094 };

	for (size_t i = 0; i < KTAP_COUNT(sizes); i++) {
		struct drm_lf_bo_create create = { .size = sizes[i] };

		CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_BO_CREATE, &create), EINVAL);
	}
	for (uint32_t bit = 0; bit < 32; bit++) {
		struct drm_lf_bo_create create = { .size = 4096, .flags = 1u << bit };

		CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_BO_CREATE, &create), EINVAL);
	}
}

static void info_tells_size_and_offset(void)
{
	int fd = guest_open();
	struct drm_lf_bo_create create = { .size = 10000 };
	struct drm_lf_bo_info info = { .pad = 0 };

	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_BO_CREATE, &create));
	info.handle = create.handle;
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_BO_INFO, &info));
	CHECK_EQUAL(info.size, create.size);
	CHECK_EQUAL(info.mmap_offset, create.mmap_offset);
	info.pad = 1;
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_BO_INFO, &info), EINVAL);
	CHECK_OK(drmCloseBufferHandle(fd, create.handle));
	info.pad = 0;
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_BO_INFO, &info), ENOENT);
}

static void mapping_outlives_handle_and_file(void)
{
	int fd = guest_open();
	struct guest_buffer buffer = guest_buffer(fd, 8192);
	uint32_t *words = buffer.memory;

	words[0] = 1;
	CHECK_OK(drmCloseBufferHandle(fd, buffer.handle));
	words[2047] = 2;
	close(fd);
	CHECK_EQUAL(words[0], 1);
	CHECK_EQUAL(words[2047], 2);
	CHECK_OK(munmap(words, 8192));
}

static void foreign_offsets_do_not_map(void)
{
	int fd = guest_open(), other = guest_open();
	struct drm_lf_bo_create create = { .size = 4096 };

	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_BO_CREATE, &create));
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, other, (off_t)create.mmap_offset) ==
	      MAP_FAILED);
	/* Not behind the end, either. */
	CHECK(mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, (off_t)create.mmap_offset) == MAP_FAILED);
}

static void prime_shares_memory(void)
{
	int fd = guest_open(), other = guest_open(), exported;
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	struct drm_lf_bo_info info = { .pad = 0 };
	volatile uint32_t *theirs, *ours = buffer.memory;

	CHECK_OK(drmPrimeHandleToFD(fd, buffer.handle, O_CLOEXEC | O_RDWR, &exported));
	CHECK_OK(drmPrimeFDToHandle(other, exported, &info.handle));
	close(exported);
	CHECK_OK(guest_ioctl(other, DRM_IOCTL_LF_BO_INFO, &info));
	CHECK_EQUAL(info.size, buffer.size);
	theirs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, other,
		      (off_t)info.mmap_offset);
	CHECK(theirs != MAP_FAILED);
	ours[5] = 0x12345678;
	CHECK_EQUAL(theirs[5], 0x12345678);
	guest_buffer_close(fd, &buffer);
	close(fd);
	CHECK_EQUAL(theirs[5], 0x12345678);
}

/* Memory of another driver, as a source and a destination. */
static void foreign_memory_multiplies(void)
{
	enum { ROWS = 20, COLS = 30, BYTES = 3 * 4096, OUTPUT = 2 * 4096 };
	int fd = guest_open(), source = open("/dev/udmabuf", O_RDWR), memory, exported;
	struct udmabuf_create create = { .flags = UDMABUF_FLAGS_CLOEXEC, .size = BYTES };
	int8_t weights[ROWS * COLS];
	float expected[COLS], *x;
	struct guest_job job;
	uint32_t handle;

	if (source < 0)
		ktap_skip("no udmabuf");
	memory = memfd_create("foreign", MFD_ALLOW_SEALING);
	CHECK(memory >= 0);
	CHECK_OK(ftruncate(memory, BYTES));
	CHECK_OK(fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK));
	create.memfd = (uint32_t)memory;
	exported = ioctl(source, UDMABUF_CREATE, &create);
	CHECK(exported >= 0);
	x = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	CHECK(x != MAP_FAILED);
	for (int i = 0; i < ROWS; i++)
		x[i] = (float)(i * i);

	CHECK_OK(drmPrimeFDToHandle(fd, exported, &handle));
	job = guest_multiply_job(handle, guest_matrix(fd, ROWS, COLS, 1, weights), ROWS, COLS,
				 OUTPUT);
	CHECK_EQUAL(guest_job_run(fd, &job), 1);
	guest_forward(x, weights, ROWS, COLS, expected);
	CHECK_EQUAL(memcmp((char *)x + OUTPUT, expected, sizeof(expected)), 0);
	/* The kernel does not write records into what is not its own. */
	job.submit.record_buffer = 1;
	job.submit.record_bytes = sizeof(struct drm_lf_job_record);
	job.submit.record_offset = 4096;
	CHECK_EQUAL(guest_job_run(fd, &job), -EINVAL);
	CHECK_OK(drmCloseBufferHandle(fd, handle));
	close(exported);
}

/* Of vgem, the kernel's driver for tests: its uAPI is not among the headers of userspace. */
struct vgem_fence_attach {
	uint32_t handle, flags, out_fence, pad;
};

struct vgem_fence_signal {
	uint32_t fence, flags;
};

#define VGEM_FENCE_WRITE 1
#define VGEM_FENCE_ATTACH \
	DRM_IOC(DRM_IOC_READWRITE, 'd', DRM_COMMAND_BASE + 1, sizeof(struct vgem_fence_attach))
#define VGEM_FENCE_SIGNAL \
	DRM_IOC(DRM_IOC_WRITE, 'd', DRM_COMMAND_BASE + 2, sizeof(struct vgem_fence_signal))

static int open_vgem(void)
{
	glob_t nodes;
	int found = -1;

	if (geteuid() != 0 || system("modprobe vgem 2>/dev/null") != 0 ||
	    glob("/dev/dri/card*", 0, NULL, &nodes) != 0)
		ktap_skip("no vgem");
	for (size_t i = 0; i < nodes.gl_pathc && found < 0; i++) {
		int fd = open(nodes.gl_pathv[i], O_RDWR | O_CLOEXEC);
		drmVersionPtr version = drmGetVersion(fd);

		if (version && !strcmp(version->name, "vgem"))
			found = fd;
		else
			close(fd);
		drmFreeVersion(version);
	}
	globfree(&nodes);
	if (found < 0)
		ktap_skip("no vgem");
	return found;
}

/* A buffer of another DRM device, and what that device has still to do with it: our job waits for it. */
static void foreign_fences_are_waited_for(void)
{
	enum { ROWS = 20, COLS = 30, BYTES = 3 * 4096, OUTPUT = 2 * 4096 };
	int fd = guest_open(), vgem = open_vgem(), exported;
	struct drm_mode_create_dumb dumb = { .width = BYTES, .height = 1, .bpp = 8 };
	struct drm_mode_map_dumb map = { .pad = 0 };
	struct vgem_fence_attach write = { .flags = VGEM_FENCE_WRITE };
	struct vgem_fence_signal written = { .flags = 0 };
	uint32_t handle, matrix, done = guest_syncobj(fd);
	int8_t weights[ROWS * COLS];
	float expected[COLS], *x;
	struct guest_job job;

	CHECK_OK(guest_ioctl(vgem, DRM_IOCTL_MODE_CREATE_DUMB, &dumb));
	map.handle = write.handle = dumb.handle;
	CHECK_OK(guest_ioctl(vgem, DRM_IOCTL_MODE_MAP_DUMB, &map));
	x = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, vgem, (off_t)map.offset);
	CHECK(x != MAP_FAILED);
	CHECK_OK(drmPrimeHandleToFD(vgem, dumb.handle, O_CLOEXEC | O_RDWR, &exported));
	CHECK_OK(drmPrimeFDToHandle(fd, exported, &handle));
	matrix = guest_matrix(fd, ROWS, COLS, 2, weights);

	CHECK_OK(guest_ioctl(vgem, VGEM_FENCE_ATTACH, &write));
	job = guest_multiply_job(handle, matrix, ROWS, COLS, OUTPUT);
	guest_job_sync(&job, done, DRM_LF_SYNC_OUT, 0);
	CHECK_OK(guest_job_submit(fd, &job));
	CHECK_EQUAL(guest_wait(fd, done, 300), -ETIME);
	/* Only now it is written, by the other device as it were. */
	for (int i = 0; i < ROWS; i++)
		x[i] = (float)(i * i - 30);
	written.fence = write.out_fence;
	CHECK_OK(guest_ioctl(vgem, VGEM_FENCE_SIGNAL, &written));
	CHECK_OK(guest_wait(fd, done, GUEST_WAIT_MS));
	CHECK_EQUAL(guest_fence_error(fd, done), 1);
	guest_forward(x, weights, ROWS, COLS, expected);
	CHECK_EQUAL(memcmp((char *)x + OUTPUT, expected, sizeof(expected)), 0);
	/* The exporter goes first: the import keeps the memory. */
	CHECK_OK(munmap(x, BYTES));
	close(exported);
	close(vgem);
	CHECK_EQUAL(guest_job_run(fd, &job), 1);
	CHECK_OK(drmCloseBufferHandle(fd, handle));
}

static void over_the_limit(void *argument)
{
	const struct rlimit limit = { 64 << 10, 64 << 10 };
	struct drm_lf_bo_create create = { .size = 48 << 10 };
	int fd;

	(void)argument;
	CHECK_OK(setrlimit(RLIMIT_MEMLOCK, &limit));
	fd = guest_open();
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_BO_CREATE, &create));
	create = (struct drm_lf_bo_create){ .size = 32 << 10 };
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_BO_CREATE, &create), ENOSPC);
	create = (struct drm_lf_bo_create){ .size = 16 << 10 };
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_BO_CREATE, &create));
	/* What is given back can be had again, and a new file is no way around the limit. */
	CHECK_OK(drmCloseBufferHandle(fd, create.handle));
	fd = guest_open();
	create = (struct drm_lf_bo_create){ .size = 16 << 10 };
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_BO_CREATE, &create));
	create = (struct drm_lf_bo_create){ .size = 4 << 10 };
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_BO_CREATE, &create), ENOSPC);
}

static void pinned_memory_is_limited(void)
{
	guest_as_user(GUEST_OTHER, over_the_limit, NULL);
	/* The first process has ended and given all back. */
	guest_as_user(GUEST_OTHER, over_the_limit, NULL);
}

static void many_can_be_made(void)
{
	int fd = guest_open();

	for (int i = 0; i < 500; i++) {
		struct guest_buffer buffer = guest_buffer(fd, 4096 + 4096 * (uint64_t)(i % 7));

		*(volatile int *)buffer.memory = i;
		guest_buffer_close(fd, &buffer);
	}
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(is_zeroed_and_page_sized),   KTAP_TEST(bad_sizes_are_refused),
		KTAP_TEST(info_tells_size_and_offset), KTAP_TEST(mapping_outlives_handle_and_file),
		KTAP_TEST(foreign_offsets_do_not_map), KTAP_TEST(prime_shares_memory),
		KTAP_TEST(foreign_memory_multiplies),  KTAP_TEST(foreign_fences_are_waited_for),
		KTAP_TEST(pinned_memory_is_limited),   KTAP_TEST(many_can_be_made),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 60);
}
