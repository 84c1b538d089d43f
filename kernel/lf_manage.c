// SPDX-License-Identifier: GPL-2.0-only
/*
 * Management commands: one job of one command at a time on queue 0, waited for. What they mean to
 * matrices and permissions is lf_matrix.c's, lf_directory.c's and lf_quota.c's.
 */
#include <linux/completion.h>
#include <linux/dma-mapping.h>

#include <drm/drm_managed.h>

#include "lf_device.h"
#include "lf_manage.h"

/* Longer than any job: creating a matrix may have to erase tiles first. */
#define LF_MANAGE_TIMEOUT    (60 * HZ)

#define LF_ACCOUNT_IN_OFFSET 2048

/* What the device reads of a management job. */
struct lf_manage_memory {
	struct lf_command command;
	struct lf_buffer_entry buffer;
	__le64 page;
};

/**
 * struct lf_manage - the management channel
 * @lock: one command at a time; guards all below
 * @request: on the ring
 * @ended: @request has ended
 * @error: how, see lf_request_done
 * @status: LF_STATUS_* if @error is 0
 * @result: of the command
 * @memory: read by the device
 * @memory_dma: its bus address
 * @data: LF_PAGE_BYTES, the only buffer of these jobs
 * @data_dma: its bus address
 */
struct lf_manage {
	struct mutex lock;
	struct lf_request request;
	struct completion ended;
	int error;
	u16 status;
	u64 result;
	struct lf_manage_memory *memory;
	dma_addr_t memory_dma;
	void *data;
	dma_addr_t data_dma;
};

static void manage_done(struct lf_request *request, const struct lf_completion *completion,
			int error)
{
	struct lf_manage *manage = container_of(request, struct lf_manage, request);

	manage->error = error;
	if (completion) {
		manage->status = le16_to_cpu(completion->status);
		manage->result = le64_to_cpu(completion->result);
	}
	complete(&manage->ended);
}

/**
 * lf_manage_init() - set the management channel up
 * @lf: device
 *
 * Return: 0 or -ENOMEM.
 */
int lf_manage_init(struct lf_device *lf)
{
	struct lf_manage *manage = drmm_kzalloc(&lf->drm, sizeof(*manage), GFP_KERNEL);
	struct device *dev = lf->drm.dev;
	int err;

	if (!manage)
		return -ENOMEM;
	err = drmm_mutex_init(&lf->drm, &manage->lock);
	if (err)
		return err;
	init_completion(&manage->ended);
	INIT_LIST_HEAD(&manage->request.link);
	manage->request.done = manage_done;
	manage->memory =
		dmam_alloc_coherent(dev, sizeof(*manage->memory), &manage->memory_dma, GFP_KERNEL);
	manage->data = dmam_alloc_coherent(dev, LF_PAGE_BYTES, &manage->data_dma, GFP_KERNEL);
	if (!manage->memory || !manage->data)
		return -ENOMEM;
	manage->memory->buffer.pages =
		cpu_to_le64(manage->memory_dma + offsetof(struct lf_manage_memory, page));
	manage->memory->buffer.bytes = cpu_to_le64(LF_PAGE_BYTES);
	manage->memory->page = cpu_to_le64(manage->data_dma);
	lf->manage = manage;
	return 0;
}

/**
 * lf_status_error() - errno of a device status
 * @status: LF_STATUS_*
 *
 * Return: 0 or a negative errno; an unknown status is -EIO.
 */
int lf_status_error(u32 status)
{
	switch (status) {
	case LF_STATUS_OK:
		return 0;
	case LF_STATUS_INVALID:
	case LF_STATUS_OVERLAP:
		return -EINVAL;
	case LF_STATUS_NO_MATRIX:
		return -ENOENT;
	case LF_STATUS_STATE:
	case LF_STATUS_THERMAL:
		return -EBUSY;
	case LF_STATUS_NO_SPACE:
		return -ENOSPC;
	case LF_STATUS_EXISTS:
		return -EEXIST;
	case LF_STATUS_QUOTA:
		return -EDQUOT;
	case LF_STATUS_DENIED:
		return -EPERM;
	case LF_STATUS_NONFINITE:
		return -EDOM;
	case LF_STATUS_ABORTED:
		return -ECANCELED;
	default:
		return -EIO;
	}
}

/* Creating twice would take tiles twice, a second commit fails, refreshing twice wears: the callers find out. */
static bool may_rerun(const struct lf_command *command)
{
	switch (le16_to_cpu(command->opcode)) {
	case LF_OP_LIST:
	case LF_OP_PUBLISH:
	case LF_OP_DELETE:
	case LF_OP_SANITIZE:
	case LF_OP_ACCOUNT:
		return true;
	default:
		return false;
	}
}

/* Runs @command; the caller holds the channel's lock and has filled its data page. */
static int manage_run(struct lf_device *lf, const struct lf_command *command, u16 flags,
		      u32 account)
{
	struct lf_manage *manage = lf->manage;
	int err;

	lockdep_assert_held(&manage->lock);
	manage->memory->command = *command;
	manage->request.submission = (struct lf_submission){
		.flags = cpu_to_le16(flags),
		.command_count = cpu_to_le32(1),
		.commands = cpu_to_le64(manage->memory_dma +
					offsetof(struct lf_manage_memory, command)),
		.buffers =
			cpu_to_le64(manage->memory_dma + offsetof(struct lf_manage_memory, buffer)),
		.buffer_count = cpu_to_le32(1),
		.account = cpu_to_le32(account),
	};
	manage->request.rerun = may_rerun(command);
	reinit_completion(&manage->ended);
	err = lf_queue_submit(&lf->queues[0], &manage->request);
	if (err)
		return err;
	while (!wait_for_completion_timeout(&manage->ended, lf->tick))
		lf_reset_watch(lf, &lf->queues[0], &manage->request, LF_MANAGE_TIMEOUT);
	return manage->error ?: lf_status_error(manage->status);
}

/* A command without data. */
static int manage_simple(struct lf_device *lf, const struct lf_command *command, u32 account,
			 u64 *result)
{
	int err;

	mutex_lock(&lf->manage->lock);
	err = manage_run(lf, command, 0, account);
	if (!err && result)
		*result = lf->manage->result;
	mutex_unlock(&lf->manage->lock);
	return err;
}

/**
 * lf_manage_create() - take tiles and an entry of the directory for a matrix
 * @lf: device
 * @account: who pays
 * @rows: logical rows
 * @cols: logical columns
 * @format: LF_FORMAT_*
 * @matrix: receives its identifier
 *
 * Return: 0 or an error of lf_manage.h.
 */
int lf_manage_create(struct lf_device *lf, u32 account, u32 rows, u32 cols, u32 format, u32 *matrix)
{
	const struct lf_command command = {
		.opcode = cpu_to_le16(LF_OP_CREATE),
		.first = cpu_to_le32(rows),
		.width = cpu_to_le32(cols),
		.rank = cpu_to_le32(format),
	};
	u64 result;
	int err = manage_simple(lf, &command, account, &result);

	if (!err)
		*matrix = result;
	return err;
}

/**
 * lf_manage_commit() - make a matrix exist
 * @lf: device
 * @matrix: identifier
 *
 * Return: 0 or an error of lf_manage.h; -EBUSY when rows are missing, or when it was committed before.
 */
int lf_manage_commit(struct lf_device *lf, u32 matrix)
{
	const struct lf_command command = {
		.opcode = cpu_to_le16(LF_OP_COMMIT),
		.matrix = cpu_to_le32(matrix),
	};

	return manage_simple(lf, &command, 0, NULL);
}

/**
 * lf_manage_refresh() - write the cells of a matrix again
 * @lf: device that speaks 1.2
 * @matrix: identifier
 * @account: who pays
 * @cells_written: receives their number
 *
 * Return: 0 or an error of lf_manage.h.
 */
int lf_manage_refresh(struct lf_device *lf, u32 matrix, u32 account, u64 *cells_written)
{
	const struct lf_command command = {
		.opcode = cpu_to_le16(LF_OP_REFRESH),
		.matrix = cpu_to_le32(matrix),
	};

	return manage_simple(lf, &command, account, cells_written);
}

/**
 * lf_manage_publish() - give a matrix its name, owner and mode
 * @lf: device
 * @matrix: identifier
 * @publication: name, owner and mode
 *
 * Return: 0 or an error of lf_manage.h.
 */
int lf_manage_publish(struct lf_device *lf, u32 matrix, const struct lf_publication *publication)
{
	const struct lf_command command = {
		.opcode = cpu_to_le16(LF_OP_PUBLISH),
		.matrix = cpu_to_le32(matrix),
		.input.space = cpu_to_le16(LF_SPACE_BUFFER),
	};
	int err;

	mutex_lock(&lf->manage->lock);
	memcpy(lf->manage->data, publication, sizeof(*publication));
	err = manage_run(lf, &command, 0, 0);
	mutex_unlock(&lf->manage->lock);
	return err;
}

/**
 * lf_manage_delete() - delete a matrix; its tiles become dirty
 * @lf: device
 * @matrix: identifier
 *
 * Return: 0 or an error of lf_manage.h.
 */
int lf_manage_delete(struct lf_device *lf, u32 matrix)
{
	const struct lf_command command = {
		.opcode = cpu_to_le16(LF_OP_DELETE),
		.matrix = cpu_to_le32(matrix),
	};
	int err;

	mutex_lock(&lf->manage->lock);
	err = manage_run(lf, &command, 0, 0);
	/* Gone already: the reset came between its end and its record. */
	if (err == -ENOENT && lf->manage->request.repeated)
		err = 0;
	mutex_unlock(&lf->manage->lock);
	return err;
}

/**
 * lf_manage_list() - read entries of the directory
 * @lf: device
 * @first: index to start at
 * @count: entries there is room for, LF_MANAGE_LIST_ENTRIES at most
 * @entries: receives them
 * @written: receives their number; fewer than @count means the end
 *
 * Return: 0 or an error of lf_manage.h.
 */
int lf_manage_list(struct lf_device *lf, u32 first, u32 count, struct lf_matrix_info *entries,
		   u32 *written)
{
	struct lf_command command = {
		.opcode = cpu_to_le16(LF_OP_LIST),
		.first = cpu_to_le32(first),
		.output.space = cpu_to_le16(LF_SPACE_BUFFER),
		.output.stride = cpu_to_le32(sizeof(*entries)),
	};
	int err;

	/* The device takes no more than it has entries. */
	count = min(count, lf->limits.matrices);
	command.count = cpu_to_le32(count);

	mutex_lock(&lf->manage->lock);
	/* A device of an earlier version leaves the later fields of the entries alone. */
	memset(lf->manage->data, 0, LF_PAGE_BYTES);
	err = manage_run(lf, &command, 0, 0);
	if (!err && lf->manage->result > count)
		err = -EIO;
	if (!err) {
		*written = lf->manage->result;
		memcpy(entries, lf->manage->data, *written * sizeof(*entries));
	}
	mutex_unlock(&lf->manage->lock);
	return err;
}

/**
 * lf_manage_account() - read an account of the ledger, or set its quota
 * @lf: device
 * @account: its number
 * @quota: new quota in cells, or NULL
 * @answer: receives the account as it is after that
 *
 * Return: 0 or an error of lf_manage.h.
 */
int lf_manage_account(struct lf_device *lf, u32 account, const u64 *quota,
		      struct lf_account *answer)
{
	struct lf_command command = {
		.opcode = cpu_to_le16(LF_OP_ACCOUNT),
		.first = cpu_to_le32(account),
		.output.space = cpu_to_le16(LF_SPACE_BUFFER),
	};
	u16 flags = 0;
	int err;

	mutex_lock(&lf->manage->lock);
	if (quota) {
		*(__le64 *)(lf->manage->data + LF_ACCOUNT_IN_OFFSET) = cpu_to_le64(*quota);
		command.flags = cpu_to_le16(LF_ACCOUNT_SET_QUOTA);
		command.input.space = cpu_to_le16(LF_SPACE_BUFFER);
		command.input.offset = cpu_to_le64(LF_ACCOUNT_IN_OFFSET);
		flags = LF_JOB_PRIVILEGED;
	}
	err = manage_run(lf, &command, flags, 0);
	if (!err)
		memcpy(answer, lf->manage->data, sizeof(*answer));
	mutex_unlock(&lf->manage->lock);
	return err;
}

/**
 * lf_manage_sanitize() - erase dirty tiles
 * @lf: device
 * @count: most tiles to erase
 * @dirty: receives how many are still dirty
 *
 * Return: 0 or an error of lf_manage.h.
 */
int lf_manage_sanitize(struct lf_device *lf, u32 count, u64 *dirty)
{
	const struct lf_command command = {
		.opcode = cpu_to_le16(LF_OP_SANITIZE),
		.count = cpu_to_le32(count),
	};

	return manage_simple(lf, &command, 0, dirty);
}
