// SPDX-License-Identifier: MIT
/*
 * Counters: a file's sums are those of its records, the device's agree with sysfs and hwmon, and
 * what is private stays so.
 */
#include <fcntl.h>
#include <glob.h>
#include <unistd.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

enum { ROWS = 64, COLS = 64, JOBS = 10, OUTPUT = 2048, RECORD = 3072, AJ_PER_PJ = 1000000 };

static int read_number(const char *pattern, long long *value)
{
	glob_t files;
	FILE *file;
	int result = -1;

	if (glob(pattern, 0, NULL, &files) != 0)
		return -1;
	file = fopen(files.gl_pathv[0], "r");
	globfree(&files);
	if (!file)
		return -1;
	if (fscanf(file, "%lld", value) == 1)
		result = 0;
	fclose(file);
	return result;
}

static void sums_are_those_of_the_records(void)
{
	int fd = guest_open();
	int8_t weights[ROWS * COLS];
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 1, weights);
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	const struct drm_lf_job_record *record = (void *)((char *)buffer.memory + RECORD);
	struct lf_telemetry_block before = guest_telemetry(fd, DRM_LF_TELEMETRY_CONTEXT), after;
	uint64_t energy_aj[LF_ENERGY_COMPONENTS] = { 0 }, busy_ns = 0, host_bytes = 0;
	float *x = buffer.memory;

	CHECK_EQUAL(before.jobs, 1);
	CHECK(before.cells_written > 0);
	for (int i = 0; i < JOBS; i++) {
		struct guest_job job =
			guest_multiply_job(buffer.handle, matrix, ROWS, COLS, OUTPUT);

		x[i] = (float)(i + 1);
		job.submit.record_buffer = 1;
		job.submit.record_bytes = sizeof(struct drm_lf_job_record);
		job.submit.record_offset = RECORD;
		CHECK_EQUAL(guest_job_run(fd, &job), 1);
		for (int j = 0; j < LF_ENERGY_COMPONENTS; j++)
			energy_aj[j] += record->energy_aj[j];
		busy_ns += record->busy_ns;
		host_bytes += record->host_bytes;
	}
	after = guest_telemetry(fd, DRM_LF_TELEMETRY_CONTEXT);
	CHECK_EQUAL(after.jobs - before.jobs, JOBS);
	CHECK_EQUAL(after.mvm_count - before.mvm_count, JOBS);
	CHECK_EQUAL(after.mac_count - before.mac_count, JOBS * ROWS * COLS);
	CHECK_EQUAL(after.busy_ns - before.busy_ns, busy_ns);
	CHECK_EQUAL(after.host_bytes - before.host_bytes, host_bytes);
	CHECK_EQUAL(after.cells_written, before.cells_written);
	for (int j = 0; j < LF_ENERGY_COMPONENTS; j++) {
		uint64_t difference = (after.energy_pj[j] - before.energy_pj[j]) * AJ_PER_PJ +
				      after.energy_sub_aj[j] - before.energy_sub_aj[j];

		CHECK(after.energy_sub_aj[j] < AJ_PER_PJ);
		CHECK_EQUAL(difference, energy_aj[j]);
	}
	CHECK_EQUAL(after.time_ns, 0);
	CHECK_EQUAL(after.temperature_mc, 0);
	CHECK_EQUAL(after.tiles_used, 0);
}

static void files_do_not_share_sums(void)
{
	int fd = guest_open(), other = guest_open();

	guest_check_multiply(fd, 9);
	CHECK_EQUAL(guest_telemetry(other, DRM_LF_TELEMETRY_CONTEXT).jobs, 0);
	CHECK_EQUAL(guest_telemetry(fd, DRM_LF_TELEMETRY_CONTEXT).jobs, 2);
}

static void bad_requests_are_refused(void)
{
	int fd = guest_open();
	static const uint32_t scopes[] = { 2, 1u << 31, UINT32_MAX };
	struct drm_lf_telemetry telemetry;

	for (size_t i = 0; i < KTAP_COUNT(scopes); i++) {
		telemetry = (struct drm_lf_telemetry){ .scope = scopes[i] };
		CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_TELEMETRY, &telemetry), EINVAL);
	}
	telemetry = (struct drm_lf_telemetry){ .pad = 1 };
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_TELEMETRY, &telemetry), EINVAL);
}

static void totals_agree_everywhere(void)
{
	static const char *const labels[] = {
		"array", "dac", "adc", "digital", "program", "static"
	};
	int fd = guest_open();
	struct lf_telemetry_block block;
	long long value;

	guest_check_multiply(fd, 4);
	block = guest_settled(fd);
	CHECK(block.jobs > 0);
	CHECK_OK(read_number("/sys/class/accel/accel*/device/lf/tiles_used", &value));
	CHECK_EQUAL(value, block.tiles_used);
	CHECK_OK(read_number("/sys/class/accel/accel*/device/lf/tiles", &value));
	CHECK_EQUAL(value, guest_info(fd).tiles);
	CHECK_OK(read_number("/sys/class/accel/accel*/device/lf/wear_max", &value));
	CHECK_EQUAL(value, block.wear_max);
	CHECK_OK(read_number("/sys/class/accel/accel*/device/lf/mac_count", &value));
	CHECK_EQUAL(value, block.mac_count);
	CHECK_OK(read_number("/sys/class/accel/accel*/device/lf/wear_histogram", &value));
	CHECK_EQUAL(value, block.wear_histogram[0]);

	CHECK_OK(read_number("/sys/class/accel/accel*/device/hwmon/hwmon*/temp1_input", &value));
	CHECK_EQUAL(value, (int64_t)block.temperature_mc);
	CHECK_OK(read_number("/sys/class/accel/accel*/device/hwmon/hwmon*/power1_average", &value));
	CHECK(value >= 0);
	for (int i = 0; i < LF_ENERGY_COMPONENTS; i++) {
		char path[128], label[32] = "";
		glob_t files;
		FILE *file;

		snprintf(path, sizeof(path),
			 "/sys/class/accel/accel*/device/hwmon/hwmon*/energy%d_input", i + 1);
		CHECK_OK(read_number(path, &value));
		CHECK_EQUAL(value, block.energy_pj[i] / 1000000);
		snprintf(path, sizeof(path),
			 "/sys/class/accel/accel*/device/hwmon/hwmon*/energy%d_label", i + 1);
		CHECK_OK(glob(path, 0, NULL, &files));
		file = fopen(files.gl_pathv[0], "r");
		globfree(&files);
		CHECK(file && fscanf(file, "%31s", label) == 1);
		fclose(file);
		CHECK(!strcmp(label, labels[i]));
	}
}

static void private_counters(void *argument)
{
	static const char *const private[] = { "mac_count", "wear_max", "wear_histogram",
					       "tiles_used", "tiles_dirty" };
	int fd = guest_open();
	struct drm_lf_telemetry telemetry = { .scope = DRM_LF_TELEMETRY_DEVICE };
	long long value;

	(void)argument;
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_TELEMETRY, &telemetry), EPERM);
	CHECK(read_number("/sys/class/accel/accel*/device/hwmon/hwmon*/energy1_input", &value));
	CHECK(read_number("/sys/class/accel/accel*/device/hwmon/hwmon*/power1_average", &value));
	for (size_t i = 0; i < KTAP_COUNT(private); i++) {
		char path[128];

		snprintf(path, sizeof(path), "/sys/class/accel/accel*/device/lf/%s", private[i]);
		CHECK(read_number(path, &value));
	}
	CHECK_OK(read_number("/sys/class/accel/accel*/device/lf/tiles_bad", &value));
	CHECK_OK(read_number("/sys/class/accel/accel*/device/hwmon/hwmon*/temp1_input", &value));
	telemetry.scope = DRM_LF_TELEMETRY_CONTEXT;
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_TELEMETRY, &telemetry));
}

static void totals_are_for_the_privileged(void)
{
	guest_as_user(GUEST_USER, private_counters, NULL);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(sums_are_those_of_the_records), KTAP_TEST(files_do_not_share_sums),
		KTAP_TEST(bad_requests_are_refused),	  KTAP_TEST(totals_agree_everywhere),
		KTAP_TEST(totals_are_for_the_privileged),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 60);
}
