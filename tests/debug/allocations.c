// SPDX-License-Identifier: MIT
/*
 * Every allocation of every call fails once: the nth allocation of a system call is made to fail (/proc/self/fail-nth), for n
 * from 1 until the call no longer gets that far. A call may then fail with ENOMEM, or do without; afterwards the
 * device multiplies as before. Binding the driver is a call too, a write to sysfs.
 */
#include <fcntl.h>
#include <glob.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <xf86drm.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

/* More allocations than any call makes. */
#define NTH_MAX	   4000
#define DRIVER	   "/sys/bus/pci/drivers/lf_accel"
#define FAULT_ROOT "/sys/kernel/debug/"

/*
 * One call that is tried again and again; returns 0, or -1 with errno. @undo takes back what it did. With @any_error it
 * need not be ENOMEM.
 */
struct scenario {
	const char *name;
	int (*call)(void);
	void (*undo)(void);
	bool any_error;
};

static int fd;
static uint32_t made, synced;
static struct guest_buffer buffer;

static void write_text(const char *path, const char *text)
{
	int file = open(path, O_WRONLY | O_CLOEXEC);

	if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text)) {
		printf("# %s: %s\n", path, strerror(errno));
		ktap_fail(__FILE__, __LINE__, "this kernel can let allocations fail");
	}
	close(file);
}

/* Allocations that may sleep fail as well, of whole pages too; in silence. */
static void arm(void)
{
	write_text(FAULT_ROOT "failslab/ignore-gfp-wait", "N");
	write_text(FAULT_ROOT "failslab/verbose", "0");
	write_text(FAULT_ROOT "fail_page_alloc/verbose", "0");
	write_text(FAULT_ROOT "fail_page_alloc/ignore-gfp-wait", "N");
	write_text(FAULT_ROOT "fail_page_alloc/min-order", "0");
	write_text(FAULT_ROOT "fail_page_alloc/ignore-gfp-highmem", "N");
}

/* What the last call left of its number of allocations. */
static unsigned int left_over;

/* Whether the nth allocation of the call was reached, and so failed. */
static bool try(int nth_file, unsigned int nth, int (*call)(void), int *result, int *error)
{
	char text[16];
	ssize_t length = snprintf(text, sizeof(text), "%u", nth);

	CHECK_EQUAL(pwrite(nth_file, text, (size_t)length, 0), length);
	errno = 0;
	*result = call();
	*error = errno;
	length = pread(nth_file, text, sizeof(text) - 1, 0);
	CHECK(length > 0);
	text[length] = 0;
	left_over = (unsigned int)strtoul(text, NULL, 10);
	CHECK_EQUAL(pwrite(nth_file, "0", 1, 0), 1);
	return left_over == 0;
}

/* Allocations from the @first on. */
static unsigned int sweep(const struct scenario *scenario, unsigned int first)
{
	int nth_file = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	unsigned int nth, survived = 0;

	CHECK(nth_file >= 0);
	for (nth = first; nth < NTH_MAX; nth++) {
		int result, error;
		bool failed = try(nth_file, nth, scenario->call, &result, &error);

		if (result == 0) {
			survived += failed;
			if (scenario->undo)
				scenario->undo();
		} else if (!failed ||
			   (error != ENOMEM && error != ENOSPC && !scenario->any_error)) {
			printf("# %s, allocation %u: %s\n", scenario->name, nth, strerror(error));
			ktap_fail(__FILE__, __LINE__, "a failed allocation is ENOMEM");
		}
		if (!failed)
			break;
	}
	CHECK(nth < NTH_MAX);
	close(nth_file);
	printf("# %s: %u allocations, %u done without\n", scenario->name, nth - first, survived);
	return nth - first;
}

static int open_device(void)
{
	int opened = open("/dev/accel/accel0", O_RDWR | O_CLOEXEC);

	if (opened < 0)
		return -1;
	close(opened);
	return 0;
}

static int create_buffer(void)
{
	struct drm_lf_bo_create create = { .size = 65536 };
	int result = ioctl(fd, DRM_IOCTL_LF_BO_CREATE, &create);

	made = create.handle;
	return result;
}

static void close_buffer(void)
{
	struct drm_gem_close close_handle = { .handle = made };

	CHECK_OK(ioctl(fd, DRM_IOCTL_GEM_CLOSE, &close_handle));
}

static int export_buffer(void)
{
	int dma_buf;

	if (drmPrimeHandleToFD(fd, buffer.handle, DRM_CLOEXEC, &dma_buf))
		return -1;
	close(dma_buf);
	return 0;
}

static int create_matrix(void)
{
	struct drm_lf_matrix_create create = { .rows = 40, .cols = 20, .format = LF_FORMAT_INT8 };
	int result = ioctl(fd, DRM_IOCTL_LF_MATRIX_CREATE, &create);

	made = create.handle;
	return result;
}

static void close_matrix(void)
{
	CHECK_OK(guest_matrix_close(fd, made));
}

static int open_matrix(void)
{
	struct drm_lf_matrix_open open_name = { .name = "allocations" };
	int result = ioctl(fd, DRM_IOCTL_LF_MATRIX_OPEN, &open_name);

	made = open_name.handle;
	return result;
}

static int publish_matrix(void)
{
	struct drm_lf_matrix_publish publish = { .handle = made, .mode = 0444, .name = "again" };

	return ioctl(fd, DRM_IOCTL_LF_MATRIX_PUBLISH, &publish);
}

static int refresh_matrix(void)
{
	struct drm_lf_matrix_refresh refresh = { .handle = made };

	return ioctl(fd, DRM_IOCTL_LF_MATRIX_REFRESH, &refresh);
}

static int list_matrices(void)
{
	struct lf_matrix_info entries[8];
	struct drm_lf_matrix_list list = { .entries = (uintptr_t)entries,
					   .count = 8,
					   .entry_bytes = sizeof(entries[0]) };

	return ioctl(fd, DRM_IOCTL_LF_MATRIX_LIST, &list);
}

static int telemetry(void)
{
	struct drm_lf_telemetry block = { .scope = DRM_LF_TELEMETRY_DEVICE };

	return ioctl(fd, DRM_IOCTL_LF_TELEMETRY, &block);
}

static int quota(void)
{
	struct drm_lf_quota budget = { .account = 4242,
				       .flags = DRM_LF_QUOTA_SET,
				       .quota_cells = 1000 };

	return ioctl(fd, DRM_IOCTL_LF_QUOTA, &budget);
}

static int query(void)
{
	struct drm_lf_device_info info;
	struct drm_lf_query args = { .type = DRM_LF_QUERY_DEVICE,
				     .size = sizeof(info),
				     .pointer = (uintptr_t)&info };

	return ioctl(fd, DRM_IOCTL_LF_QUERY, &args);
}

static int buffer_info(void)
{
	struct drm_lf_bo_info info = { .handle = buffer.handle };

	return ioctl(fd, DRM_IOCTL_LF_BO_INFO, &info);
}

static int priority(void)
{
	struct drm_lf_priority args = { .priority = DRM_LF_PRIORITY_NORMAL };

	return ioctl(fd, DRM_IOCTL_LF_PRIORITY, &args);
}

/* A buffer of another file, by its DMA buffer. */
static int exported;

static int import_buffer(void)
{
	return drmPrimeFDToHandle(fd, exported, &made) ? -1 : 0;
}

static int matrix_info(void)
{
	struct drm_lf_matrix_info info = { .handle = made };

	return ioctl(fd, DRM_IOCTL_LF_MATRIX_INFO, &info);
}

static int commit_matrix(void)
{
	struct drm_lf_matrix_handle commit = { .handle = made };

	return ioctl(fd, DRM_IOCTL_LF_MATRIX_COMMIT, &commit);
}

/* Another one that waits to be committed. */
static void program_another(void)
{
	static const int8_t weights[40 * 20];

	CHECK_OK(guest_matrix_close(fd, made));
	CHECK_OK(guest_matrix_create(fd, 40, 20, &made));
	CHECK_EQUAL(guest_matrix_program(fd, made, 40, 20, weights), 1);
}

static int unlink_matrix(void)
{
	struct drm_lf_matrix_unlink name = { .name = "unlinked" };

	return ioctl(fd, DRM_IOCTL_LF_MATRIX_UNLINK, &name);
}

/* Another one of that name. */
static void publish_another(void)
{
	program_another();
	CHECK_OK(guest_matrix_commit(fd, made));
	CHECK_OK(guest_matrix_publish(fd, made, "unlinked", 0444));
}

static int drop_matrix(void)
{
	struct drm_lf_matrix_handle handle = { .handle = made };

	return ioctl(fd, DRM_IOCTL_LF_MATRIX_CLOSE, &handle);
}

static void open_again(void)
{
	CHECK_OK(guest_matrix_open(fd, "unlinked", &made));
}

/* What the driver shows in files. */
static const char *shown;

static int read_shown(void)
{
	char text[4096];
	int file = open(shown, O_RDONLY | O_CLOEXEC), error;
	ssize_t length;

	if (file < 0)
		return -1;
	length = read(file, text, sizeof(text));
	error = errno;
	close(file);
	errno = error;
	return length < 0 ? -1 : 0;
}

static void sweep_files(void)
{
	static const char *const patterns[] = {
		"/sys/class/accel/accel*/device/lf/jobs",
		"/sys/class/accel/accel*/device/hwmon/hwmon*/energy1_input",
		"/sys/class/accel/accel*/device/hwmon/hwmon*/temp1_input",
		"/sys/kernel/debug/accel/*/queues",
	};
	char fdinfo[64];

	for (size_t i = 0; i < KTAP_COUNT(patterns); i++) {
		const struct scenario scenario = { patterns[i], read_shown, NULL, false };
		glob_t files;

		CHECK_OK(glob(patterns[i], 0, NULL, &files));
		shown = files.gl_pathv[0];
		sweep(&scenario, 1);
		globfree(&files);
	}
	snprintf(fdinfo, sizeof(fdinfo), "/proc/self/fdinfo/%d", fd);
	shown = fdinfo;
	sweep(&(struct scenario){ "fdinfo", read_shown, NULL, false }, 1);
}

static int submit(void)
{
	struct guest_job job = guest_multiply_job(buffer.handle, made, 40, 20, 4096);

	guest_job_sync(&job, synced, DRM_LF_SYNC_OUT, 0);
	return guest_job_submit(fd, &job);
}

static void wait_job(void)
{
	CHECK_OK(guest_wait(fd, synced, GUEST_WAIT_MS));
}

static int export_from_another_file(void)
{
	int other = guest_open(), dma_buf;
	struct guest_buffer theirs = guest_buffer(other, 8192);

	CHECK_OK(drmPrimeHandleToFD(other, theirs.handle, DRM_CLOEXEC | DRM_RDWR, &dma_buf));
	return dma_buf;
}

static void test_calls(void)
{
	static const struct scenario without_matrix[] = {
		{ "open", open_device, NULL, false },
		{ "buffer", create_buffer, close_buffer, false },
		{ "export", export_buffer, NULL, false },
		{ "matrix", create_matrix, close_matrix, false },
		{ "list", list_matrices, NULL, false },
		{ "telemetry", telemetry, NULL, false },
		{ "quota", quota, NULL, false },
	};
	static const struct scenario with_matrix[] = {
		{ "publish", publish_matrix, NULL, false },
		{ "refresh", refresh_matrix, NULL, false },
		{ "submit", submit, wait_job, false },
	};
	static const struct scenario named = { "open by name", open_matrix, close_matrix, false };
	static const struct scenario others[] = {
		{ "query", query, NULL, false },
		{ "buffer info", buffer_info, NULL, false },
		{ "import", import_buffer, close_buffer, false },
		{ "priority", priority, NULL, false },
		{ "matrix info", matrix_info, NULL, false },
	};
	static const struct scenario commit = { "commit", commit_matrix, program_another, false };
	static const struct scenario unlink_name = { "unlink", unlink_matrix, publish_another,
						     false };
	static const struct scenario drop = { "close", drop_matrix, open_again, false };
	int8_t weights[40 * 20];
	uint32_t handle;

	arm();
	fd = guest_open();
	buffer = guest_buffer(fd, 16384);
	memset(buffer.memory, 0, 16384);
	synced = guest_syncobj(fd);
	for (size_t i = 0; i < KTAP_COUNT(without_matrix); i++)
		CHECK(sweep(&without_matrix[i], 1) > 0 || i >= 4);
	handle = made = guest_matrix(fd, 40, 20, 3, weights);
	for (size_t i = 0; i < KTAP_COUNT(with_matrix); i++)
		sweep(&with_matrix[i], 1);
	CHECK_OK(guest_matrix_publish(fd, handle, "allocations", 0444));
	sweep(&named, 1);
	CHECK_OK(guest_matrix_unlink(fd, "allocations"));
	made = handle;
	exported = export_from_another_file();
	for (size_t i = 0; i < KTAP_COUNT(others); i++) {
		/* An import leaves its handle where that of the matrix was. */
		made = handle;
		sweep(&others[i], 1);
	}
	made = handle;
	program_another();
	sweep(&commit, 1);
	publish_another();
	sweep(&drop, 1);
	sweep(&unlink_name, 1);
	CHECK_OK(guest_matrix_unlink(fd, "unlinked"));
	sweep_files();
	guest_check_multiply(fd, 5);
}

/* Name of the bound device below DRIVER, e.g. 0000:01:00.0. */
static char address[64];
static int bind_file;

static int bind_driver(void)
{
	return write(bind_file, address, strlen(address)) < 0 ? -1 : 0;
}

static void unbind_driver(void)
{
	write_text(DRIVER "/unbind", address);
}

static void find_device(void)
{
	glob_t found;

	CHECK_OK(glob("/sys/bus/pci/drivers/lf_accel/*:*", 0, NULL, &found));
	snprintf(address, sizeof(address), "%s", strrchr(found.gl_pathv[0], '/') + 1);
	globfree(&found);
}

static void open_bind(void)
{
	bind_file = open(DRIVER "/bind", O_WRONLY | O_CLOEXEC);
	CHECK(bind_file >= 0);
}

/* Allocations of the PCI and DRM cores before the driver's first step; what these cores do without them is theirs. */
static unsigned int allocations_before(void)
{
	int nth_file = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC), result, error;
	unsigned int used;

	CHECK(guest_unload());
	CHECK_OK(system("modprobe lf_accel fail_probe_step=1"));
	open_bind();
	CHECK(nth_file >= 0 && !try(nth_file, NTH_MAX, bind_driver, &result, &error));
	CHECK(result == -1 && error == ENOMEM);
	used = NTH_MAX - left_over;
	close(nth_file);
	close(bind_file);
	return used;
}

static void test_probe(void)
{
	/* Not all below a driver can say that it had no memory: __request_region() says that a region is taken. */
	static const struct scenario probe = { "probe", bind_driver, unbind_driver, true };
	unsigned int before;

	find_device();
	arm();
	before = allocations_before();
	CHECK(guest_reload(""));
	open_bind();
	unbind_driver();
	printf("# %u allocations before the driver's own\n", before);
	CHECK(sweep(&probe, before + 1) > 20);
	CHECK_OK(bind_driver());
	fd = guest_open();
	guest_check_multiply(fd, 7);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(test_calls),
		KTAP_TEST(test_probe),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 900);
}
