// SPDX-License-Identifier: MIT
/*
 * A fuzzer that knows the interface. A program is a list of calls whose arguments are drawn from typed resources (live
 * handles of buffers, matrices, sync objects, names) and then spoilt a little, because random ioctls hardly ever get past
 * the checks of their arguments. Each program runs in a process of its own with KCOV on, and what the driver's workers do for it
 * comes to its parent; a program that reached code no other had is kept and later changed. What finds the bugs is the
 * kernel: KASAN, lockdep, the hung-task detector.
 *
 * usage: fuzz [PROGRAMS [SEED]]
 */
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/kcov.h>
#include <xf86drm.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

#define CALLS_MAX     24
#define WORDS	      6
#define LIVE_MAX      16
#define CORPUS_MAX    512
#define COVER_ENTRIES (64u << 10)
#define COVERAGE_BITS (1u << 20)
#define PROGRAM_S     60

/* Any number but 0: the driver's workers find the listener by it. Children have that of their parent. */
#define COMMON_ID     0x1f

/* One call: which, and the words its arguments are drawn from. */
struct call {
	uint32_t kind;
	uint32_t words[WORDS];
};

struct program {
	uint32_t count;
	struct call calls[CALLS_MAX];
};

/* Shared by the processes. */
struct coverage {
	uint64_t calls;
	uint64_t accepted;
	uint32_t found;
	uint32_t of_workers;
	uint32_t new_bits;
	uint8_t bits[COVERAGE_BITS / 8];
};

struct matrix {
	uint32_t handle;
	uint32_t rows;
	uint32_t cols;
};

/* What the running program has made. */
struct state {
	int fd;
	uint32_t buffers[LIVE_MAX];
	uint32_t buffer_count;
	struct matrix matrices[LIVE_MAX];
	uint32_t matrix_count;
	uint32_t syncs[LIVE_MAX];
	uint32_t sync_count;
	int dma_buf;
};

static struct coverage *coverage;

/* Numbers at which implementations break, and some that are good. */
static uint64_t number(uint32_t word)
{
	static const uint64_t odd[] = { 0,	    1,		2,	   7,	      64,
					127,	    128,	4095,	   4096,      4097,
					65535,	    65536,	1u << 20,  INT32_MAX, 1u << 31,
					UINT32_MAX, 1ull << 32, INT64_MAX, UINT64_MAX };

	return odd[word % (sizeof(odd) / sizeof(odd[0]))];
}

/* Most of the time @good, now and then something else. */
static uint64_t mostly(uint64_t good, uint32_t word)
{
	return word % 11 ? good : number(word / 11);
}

static uint32_t handle_of(const uint32_t *live, uint32_t count, uint32_t word)
{
	return (uint32_t)mostly(count ? live[word / 16 % count] : 1 + word / 16 % 4, word);
}

static struct matrix matrix_of(const struct state *state, uint32_t word)
{
	struct matrix matrix = { 1 + word % 4, 16, 16 };

	if (state->matrix_count)
		matrix = state->matrices[word / 16 % state->matrix_count];
	matrix.handle = (uint32_t)mostly(matrix.handle, word);
	return matrix;
}

static int call(const struct state *state, unsigned long request, void *argument)
{
	int result = ioctl(state->fd, request, argument);

	coverage->calls++;
	coverage->accepted += result == 0;
	return result;
}

static void create_buffer(struct state *state, const uint32_t *w)
{
	struct drm_lf_bo_create create = {
		.size = mostly(4096ull << w[0] % 6, w[1]),
		.flags = (uint32_t)mostly(0, w[2]),
	};

	if (!call(state, DRM_IOCTL_LF_BO_CREATE, &create) && state->buffer_count < LIVE_MAX)
		state->buffers[state->buffer_count++] = create.handle;
}

static void create_matrix(struct state *state, const uint32_t *w)
{
	struct drm_lf_matrix_create create = {
		.rows = (uint32_t)mostly(1 + w[0] % 200, w[1]),
		.cols = (uint32_t)mostly(1 + w[2] % 60, w[3]),
		.format = (uint32_t)mostly(LF_FORMAT_INT8, w[4]),
		.flags = (uint32_t)mostly(0, w[5]),
	};

	if (!call(state, DRM_IOCTL_LF_MATRIX_CREATE, &create) && state->matrix_count < LIVE_MAX)
		state->matrices[state->matrix_count++] =
			(struct matrix){ create.handle, create.rows, create.cols };
}

static void set_name(uint8_t name[LF_NAME_BYTES], uint32_t word)
{
	static const char *const names[] = { "a", "b/c", "weights/0", "/no", "x y", "" };

	memset(name, 0, LF_NAME_BYTES);
	strcpy((char *)name, names[word % 6]);
	if (word % 97 == 0)
		memset(name, 'n', LF_NAME_BYTES);
}

/* A good command of @opcode for @matrix, from the start of buffer 0 to its second half. */
static struct lf_command good_command(uint16_t opcode, const struct matrix *matrix, uint32_t word)
{
	bool transpose = opcode == LF_OP_MVM && word & 1;
	uint32_t inputs = transpose ? matrix->cols : matrix->rows;
	uint32_t outputs = transpose ? matrix->rows : matrix->cols;
	struct lf_command command = { .opcode = opcode };

	switch (opcode) {
	case LF_OP_MVM:
		command.matrix = 1;
		command.flags = transpose ? LF_MVM_TRANSPOSE : 0;
		command.count = 1 + word / 2 % 3;
		command.input = guest_operand(0, 0, inputs * 4);
		command.output = guest_operand(0, 8192, outputs * 4);
		if (word & 16 && !transpose)
			command.bias = guest_operand(0, 4096, 0);
		if (word & 32)
			command.output = guest_scratch(0, outputs * 4);
		break;
	case LF_OP_FUSE:
		command.flags = LF_FUSE_AFFINE;
		command.count = 1 + word % 3;
		command.width = 16;
		command.input = guest_operand(0, 0, 64);
		command.output = guest_operand(0, 8192, 64);
		break;
	case LF_OP_PROGRAM:
		command.matrix = 1;
		command.count = matrix->rows;
		command.input = guest_operand(0, 0, matrix->cols);
		break;
	case LF_OP_READ:
		command.matrix = 1;
		command.count = 1;
		command.output = guest_operand(0, 8192, matrix->cols);
		break;
	case LF_OP_CALIBRATE:
		command.matrix = 1;
		command.count = 1 + word % 2;
		command.input = guest_operand(0, 0, matrix->rows * 4);
		break;
	default:
		break;
	}
	return command;
}

static void submit(struct state *state, const uint32_t *w)
{
	static const uint16_t opcodes[] = { LF_OP_MVM,	   LF_OP_MVM,  LF_OP_FUSE,
					    LF_OP_PROGRAM, LF_OP_READ, LF_OP_CALIBRATE,
					    LF_OP_BARRIER, 16,	       255 };
	struct matrix matrix = matrix_of(state, w[0]);
	struct guest_job job = guest_job();
	uint32_t commands = 1 + w[1] % 3;

	guest_job_buffer(&job, handle_of(state->buffers, state->buffer_count, w[2]));
	guest_job_matrix(&job, matrix.handle);
	for (uint32_t i = 0; i < commands; i++)
		*guest_job_command(&job, 0) =
			good_command(opcodes[(w[3] >> 4 * i) % 9], &matrix, w[4] >> 3 * i);
	if (state->sync_count)
		guest_job_sync(&job, handle_of(state->syncs, state->sync_count, w[5]),
			       w[5] & 1 ? DRM_LF_SYNC_OUT : DRM_LF_SYNC_IN, 0);
	job.submit.scratch_bytes = 65536;
	job.submit.sync_stride = job.submit.sync_count ? sizeof(struct drm_lf_sync) : 0;
	job.submit.job_number = w[5];
	/* Up to two fields of the commands and one of the job are spoilt. */
	for (uint32_t i = 0; i < w[1] / 4 % 3; i++) {
		size_t place = (w[4] >> i) % (commands * sizeof(struct lf_command) / 4);
		uint32_t value = (uint32_t)number(w[3] >> i);

		memcpy((char *)job.commands + 4 * place, &value, sizeof(value));
	}
	if (w[1] / 16 % 5 == 0) {
		uint32_t value = (uint32_t)number(w[4]);
		size_t first = offsetof(struct drm_lf_submit, command_count) / 4;

		memcpy((char *)&job.submit + 4 * (first + w[3] % 14), &value, sizeof(value));
	}
	job.submit.commands = (uintptr_t)job.commands;
	job.submit.buffers = (uintptr_t)job.buffers;
	job.submit.matrices = (uintptr_t)job.matrices;
	job.submit.syncs = (uintptr_t)job.syncs;
	if (w[5] % 61 == 0)
		job.submit.commands = number(w[5]);
	call(state, DRM_IOCTL_LF_SUBMIT, &job.submit);
}

static void touch_buffer(const struct state *state, const uint32_t *w)
{
	struct drm_lf_bo_info info = {
		.handle = handle_of(state->buffers, state->buffer_count, w[0]),
		.pad = (uint32_t)mostly(0, w[1]),
	};
	void *memory;

	if (call(state, DRM_IOCTL_LF_BO_INFO, &info))
		return;
	memory = mmap(NULL, info.size, PROT_READ | PROT_WRITE, w[2] % 7 ? MAP_SHARED : MAP_PRIVATE,
		      state->fd, (off_t)mostly(info.mmap_offset, w[3]));
	if (memory == MAP_FAILED)
		return;
	/* Small numbers: as fp32 and as weights they are good ones. */
	memset(memory, (int)(w[4] % 3), info.size < 65536 ? info.size : 65536);
	if (w[5] % 2)
		munmap(memory, info.size);
}

static void share_buffer(struct state *state, const uint32_t *w)
{
	uint32_t handle = handle_of(state->buffers, state->buffer_count, w[0]);
	uint32_t imported;
	int dma_buf;

	if (w[1] % 2 || state->dma_buf < 0) {
		if (drmPrimeHandleToFD(state->fd, handle, DRM_CLOEXEC | DRM_RDWR, &dma_buf))
			return;
		if (state->dma_buf >= 0)
			close(state->dma_buf);
		state->dma_buf = dma_buf;
	} else if (!drmPrimeFDToHandle(state->fd, state->dma_buf, &imported) &&
		   state->buffer_count < LIVE_MAX) {
		state->buffers[state->buffer_count++] = imported;
	}
}

static void use_matrix(struct state *state, const uint32_t *w)
{
	struct matrix matrix = matrix_of(state, w[0]);
	struct drm_lf_matrix_handle handle = { .handle = matrix.handle };
	struct drm_lf_matrix_publish publish = { .handle = matrix.handle,
						 .mode = (uint32_t)mostly(0444 & w[2], w[3]) };
	struct drm_lf_matrix_info info = { .handle = matrix.handle };
	struct drm_lf_matrix_refresh refresh = { .handle = matrix.handle,
						 .flags = (uint32_t)mostly(0, w[3]) };
	struct drm_lf_matrix_unlink unlink_name = { 0 };
	struct drm_lf_matrix_open open_name = { .flags = (uint32_t)mostly(0, w[3]) };
	uint8_t entries[4096];
	struct drm_lf_matrix_list list = { .entries = (uintptr_t)entries,
					   .count = (uint32_t)mostly(8, w[2]),
					   .first = (uint32_t)mostly(0, w[3]),
					   .entry_bytes = (uint32_t)mostly(128, w[4]) };

	handle.pad = (uint32_t)mostly(0, w[2]);
	set_name(publish.name, w[4]);
	set_name(open_name.name, w[4]);
	set_name(unlink_name.name, w[4]);
	switch (w[1] % 9) {
	case 0:
	case 1:
		call(state, DRM_IOCTL_LF_MATRIX_COMMIT, &handle);
		break;
	case 2:
		call(state, DRM_IOCTL_LF_MATRIX_CLOSE, &handle);
		break;
	case 3:
		call(state, DRM_IOCTL_LF_MATRIX_PUBLISH, &publish);
		break;
	case 4:
		call(state, DRM_IOCTL_LF_MATRIX_INFO, &info);
		break;
	case 5:
		call(state, DRM_IOCTL_LF_MATRIX_REFRESH, &refresh);
		break;
	case 6:
		call(state, DRM_IOCTL_LF_MATRIX_UNLINK, &unlink_name);
		break;
	case 7:
		call(state, DRM_IOCTL_LF_MATRIX_LIST, &list);
		break;
	default:
		if (!call(state, DRM_IOCTL_LF_MATRIX_OPEN, &open_name) &&
		    state->matrix_count < LIVE_MAX)
			state->matrices[state->matrix_count++] =
				(struct matrix){ open_name.handle, 16, 16 };
		break;
	}
}

/* Program a matrix as it should be, so that what comes after has something to work on. */
static void program_matrix(struct state *state, const uint32_t *w)
{
	struct matrix matrix = matrix_of(state, w[0]);
	struct guest_job job = guest_job();
	struct drm_lf_matrix_handle handle = { .handle = matrix.handle };

	guest_job_buffer(&job, handle_of(state->buffers, state->buffer_count, w[1]));
	guest_job_matrix(&job, matrix.handle);
	*guest_job_command(&job, 0) = good_command(LF_OP_PROGRAM, &matrix, 0);
	job.submit.commands = (uintptr_t)job.commands;
	job.submit.buffers = (uintptr_t)job.buffers;
	job.submit.matrices = (uintptr_t)job.matrices;
	if (!call(state, DRM_IOCTL_LF_SUBMIT, &job.submit) && w[2] % 4)
		call(state, DRM_IOCTL_LF_MATRIX_COMMIT, &handle);
}

static void ask(struct state *state, const uint32_t *w)
{
	struct drm_lf_device_info answer;
	struct drm_lf_query query = { .type = (uint32_t)mostly(0, w[1]),
				      .size = (uint32_t)mostly(sizeof(answer), w[2]),
				      .pointer = mostly((uintptr_t)&answer, w[3]) };
	struct drm_lf_telemetry telemetry = { .scope = w[1] % 3, .pad = (uint32_t)mostly(0, w[2]) };
	struct drm_lf_quota quota = { .account = (uint32_t)mostly(0, w[1]),
				      .flags = w[2] % 4 ? 0 : DRM_LF_QUOTA_SET,
				      .quota_cells = UINT64_MAX - w[3] % 2 };

	switch (w[0] % 3) {
	case 0:
		call(state, DRM_IOCTL_LF_QUERY, &query);
		break;
	case 1:
		call(state, DRM_IOCTL_LF_TELEMETRY, &telemetry);
		break;
	default:
		call(state, DRM_IOCTL_LF_QUOTA, &quota);
		break;
	}
}

static void synchronise(struct state *state, const uint32_t *w)
{
	uint32_t handle = handle_of(state->syncs, state->sync_count, w[0]);

	switch (w[1] % 5) {
	case 0:
	case 1:
		if (!drmSyncobjCreate(state->fd, w[2] % 2, &handle) && state->sync_count < LIVE_MAX)
			state->syncs[state->sync_count++] = handle;
		break;
	case 2:
		drmSyncobjDestroy(state->fd, handle);
		break;
	case 3:
		drmSyncobjWait(state->fd, &handle, 1, 0, w[2] & 3, NULL);
		break;
	default:
		drmSyncobjSignal(state->fd, &handle, 1);
		break;
	}
}

static void close_something(struct state *state, const uint32_t *w)
{
	struct drm_gem_close gem = { .handle =
					     handle_of(state->buffers, state->buffer_count, w[0]) };

	if (w[1] % 8) {
		ioctl(state->fd, DRM_IOCTL_GEM_CLOSE, &gem);
		return;
	}
	/* The file itself, with all it has in flight. */
	close(state->fd);
	state->fd = guest_open();
	state->buffer_count = state->matrix_count = state->sync_count = 0;
}

static void (*const kinds[])(struct state *, const uint32_t *) = {
	create_buffer, create_buffer, create_matrix, program_matrix, program_matrix,
	submit,	       submit,	      submit,	     use_matrix,     use_matrix,
	use_matrix,    ask,	      synchronise,   share_buffer,   close_something,
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void execute(const struct program *program)
{
	struct state state = { .fd = guest_open(), .dma_buf = -1 };

	for (uint32_t i = 0; i < program->count; i++) {
		const struct call *one = &program->calls[i];

		if (one->kind % (KINDS + 1) == KINDS)
			touch_buffer(&state, one->words);
		else
			kinds[one->kind % (KINDS + 1)](&state, one->words);
	}
}

/* The places the kernel passed, into the shared map; returns how many are new. */
static uint32_t collect(unsigned long *cover)
{
	unsigned long count = __atomic_exchange_n(&cover[0], 0, __ATOMIC_RELAXED);
	uint32_t found = 0;

	for (unsigned long i = 1; i <= count; i++) {
		uint32_t bit = (uint32_t)((cover[i] * 0x9e3779b97f4a7c15ull) >> 44);

		if (coverage->bits[bit / 8] >> bit % 8 & 1)
			continue;
		coverage->bits[bit / 8] |= (uint8_t)(1u << bit % 8);
		found++;
	}
	coverage->found += found;
	coverage->new_bits += found;
	return found;
}

/* A map of its own that the kernel writes to once @kcov is enabled; MAP_FAILED where there is none to be had. */
static unsigned long *map_coverage(int kcov)
{
	if (kcov < 0 || ioctl(kcov, KCOV_INIT_TRACE, COVER_ENTRIES))
		return MAP_FAILED;
	return mmap(NULL, COVER_ENTRIES * sizeof(unsigned long), PROT_READ | PROT_WRITE, MAP_SHARED,
		    kcov, 0);
}

static int open_kcov(void)
{
	return open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
}

/* What workers do for this process's children. A process has one map, so these have their own for what they do. */
static unsigned long *listen_to_workers(void)
{
	struct kcov_remote_arg remote = {
		.trace_mode = KCOV_TRACE_PC,
		.area_size = COVER_ENTRIES,
		.common_handle = kcov_remote_handle(KCOV_SUBSYSTEM_COMMON, COMMON_ID),
	};
	int kcov = open_kcov();
	unsigned long *cover = map_coverage(kcov);

	if (cover != MAP_FAILED && ioctl(kcov, KCOV_REMOTE_ENABLE, &remote))
		return MAP_FAILED;
	return cover;
}

static void run_child(const struct program *program)
{
	int kcov = open_kcov();
	unsigned long *cover = map_coverage(kcov);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cover == MAP_FAILED || ioctl(kcov, KCOV_ENABLE, KCOV_TRACE_PC))
		_exit(KTAP_SKIPPED);
	__atomic_store_n(&cover[0], 0, __ATOMIC_RELAXED);
	execute(program);
	ioctl(kcov, KCOV_DISABLE, 0);
	collect(cover);
	_exit(0);
}

/* Status of the program's process; -1 when it had to be killed. */
static int run_program(const struct program *program)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	time_t end = time(NULL) + PROGRAM_S;
	int status;
	pid_t pid;

	coverage->new_bits = 0;
	pid = fork();
	if (pid == 0)
		run_child(program);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (time(NULL) > end) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return -1;
		}
		nanosleep(&nap, NULL);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void invent(struct program *program, const struct program *parent, uint64_t *seed)
{
	if (parent) {
		*program = *parent;
		for (uint32_t i = 0; i < 1 + guest_random(seed) % 4; i++) {
			struct call *one = &program->calls[guest_random(seed) % program->count];

			if (guest_random(seed) % 4 == 0)
				one->kind = guest_random(seed);
			one->words[guest_random(seed) % WORDS] = guest_random(seed);
		}
		return;
	}
	program->count = 4 + guest_random(seed) % (CALLS_MAX - 3);
	for (uint32_t i = 0; i < program->count; i++) {
		program->calls[i].kind = guest_random(seed);
		for (uint32_t j = 0; j < WORDS; j++)
			program->calls[i].words[j] = guest_random(seed);
	}
	/* Most programs start with something to work on. */
	program->calls[0].kind = 0;
	program->calls[1].kind = 2;
	program->calls[2].kind = 3;
}

int main(int argc, char **argv)
{
	uint32_t programs = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10000;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	static struct program corpus[CORPUS_MAX];
	uint32_t kept = 0, stuck = 0, died = 0;
	unsigned long *workers;
	int fd;

	coverage = mmap(NULL, sizeof(*coverage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	CHECK(coverage != MAP_FAILED);
	printf("KTAP version 1\n1..4\n");
	workers = listen_to_workers();
	if (workers == MAP_FAILED) {
		printf("not ok 1 coverage of the kernel's workers cannot be had\n");
		return 1;
	}
	/* What is done for no file counts for who binds the device. */
	guest_reload("");
	for (uint32_t i = 0; i < programs; i++) {
		const struct program *parent = NULL;
		struct program program;
		int status;

		if (kept && guest_random(&seed) % 3)
			parent = &corpus[guest_random(&seed) % kept];
		invent(&program, parent, &seed);
		status = run_program(&program);
		if (status == KTAP_SKIPPED) {
			printf("not ok 1 coverage of the kernel cannot be had\n");
			return 1;
		}
		stuck += status < 0;
		died += status > 0;
		/* What they still do for this program counts for the next. */
		coverage->of_workers += collect(workers);
		if (coverage->new_bits)
			corpus[kept < CORPUS_MAX ? kept++ : guest_random(&seed) % kept] = program;
		if ((i + 1) % 1000 == 0) {
			printf("# %u programs, %llu calls of which %llu accepted, %u places, %u of them by workers first, %u kept\n",
			       i + 1, (unsigned long long)coverage->calls,
			       (unsigned long long)coverage->accepted, coverage->found,
			       coverage->of_workers, kept);
			fflush(stdout);
		}
	}
	printf("%s 1 %u programs ended by themselves, %u did not\n",
	       stuck || died ? "not ok" : "ok", programs - stuck - died, stuck + died);
	/* One in ten calls has to get past the checks, or nothing behind them was tried. */
	printf("%s 2 %llu of %llu calls were accepted\n",
	       10 * coverage->accepted > coverage->calls ? "ok" : "not ok",
	       (unsigned long long)coverage->accepted, (unsigned long long)coverage->calls);
	fd = guest_open();
	guest_check_multiply(fd, 1);
	printf("ok 3 the device multiplies as before\n");
	close(fd);
	printf("%s 4 workers passed %u places that no call had\n",
	       coverage->of_workers ? "ok" : "not ok", coverage->of_workers);
	return stuck || died || 10 * coverage->accepted <= coverage->calls || !coverage->of_workers;
}
