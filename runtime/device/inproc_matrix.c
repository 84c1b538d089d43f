// SPDX-License-Identifier: MIT
/*
 * Matrices of the in-process device: handles, names and permissions, which are the kernel
 * driver's elsewhere. A matrix is deleted with its last handle unless it is published. An unlinked
 * one with handles left keeps its entry in the directory, hidden here, until they are closed; only
 * then is its name free again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/device/inproc.h"

#define PAGE_ENTRIES 32

/*
 * Reads at most @count entries of the directory from *@first on; *@first becomes where to go on,
 * 0 at the end.
 * Return: entries read or negative errno.
 */
static int list_entries(struct inproc *inproc, struct lf_matrix_info *entries, uint32_t count,
			uint32_t *first)
{
	struct lf_command command = {
		.opcode = LF_OP_LIST,
		.count =
			count < inproc->device.info.matrices ? count : inproc->device.info.matrices,
		.first = *first,
		.output = { .space = LF_SPACE_BUFFER, .buffer = 1, .stride = sizeof(*entries) },
	};
	uint64_t written;
	int err = inproc_manage(inproc, &command, NULL, 0, entries,
				command.count * sizeof(*entries), &written);

	if (err)
		return err;
	*first = written == command.count ? entries[written - 1].index + 1 : 0;
	if (*first == inproc->device.info.matrices)
		*first = 0;
	return (int)written;
}

/* Finds an entry of the directory by its identifier or, where @name is given, by its name. */
static int find_entry(struct inproc *inproc, uint32_t matrix, const char *name,
		      struct lf_matrix_info *entry)
{
	struct lf_matrix_info page[PAGE_ENTRIES];
	uint32_t first = 0;

	do {
		int count = list_entries(inproc, page, PAGE_ENTRIES, &first);

		if (count < 0)
			return count;
		for (int i = 0; i < count; i++) {
			bool found = name ? page[i].state == LF_MATRIX_PUBLISHED &&
						     !strcmp((char *)page[i].publication.name, name)
					  : page[i].matrix == matrix;

			if (found) {
				*entry = page[i];
				return 0;
			}
		}
	} while (first);
	return -ENOENT;
}

static int delete_matrix(struct inproc *inproc, uint32_t matrix)
{
	const struct lf_command command = { .opcode = LF_OP_DELETE, .matrix = matrix };

	return inproc_manage(inproc, &command, NULL, 0, NULL, 0, NULL);
}

static struct inproc_reference *find_reference(struct inproc *inproc, uint32_t matrix)
{
	for (uint32_t i = 0; i < inproc->reference_capacity; i++) {
		if (inproc->references[i].handles && inproc->references[i].matrix == matrix)
			return &inproc->references[i];
	}
	return NULL;
}

/*
 * A free entry of the table, which stays free until it is given handles; NULL when memory is out.
 */
static struct inproc_reference *free_reference(struct inproc *inproc)
{
	uint32_t capacity = inproc->reference_capacity;
	uint32_t larger = capacity ? 2 * capacity : 16;
	struct inproc_reference *grown;

	for (uint32_t i = 0; i < capacity; i++) {
		if (!inproc->references[i].handles)
			return &inproc->references[i];
	}
	grown = realloc(inproc->references, larger * sizeof(*grown));
	if (!grown)
		return NULL;
	memset(grown + capacity, 0, (larger - capacity) * sizeof(*grown));
	inproc->references = grown;
	inproc->reference_capacity = larger;
	return &grown[capacity];
}

/* An unlinked matrix that still has handles is there no more for anyone else. */
static bool is_hidden(struct inproc *inproc, uint32_t matrix)
{
	const struct inproc_reference *reference = find_reference(inproc, matrix);

	return reference && !reference->lasting;
}

static bool may_change(const struct inproc *inproc, const struct lf_matrix_info *entry)
{
	return !inproc->account || entry->publication.owner == inproc->account;
}

static bool may_read(const struct inproc *inproc, const struct lf_matrix_info *entry)
{
	const struct lf_publication *publication = &entry->publication;

	if (!inproc->account)
		return true;
	if (publication->owner == inproc->account)
		return publication->mode & 0400;
	if (publication->group == getegid() || group_member(publication->group))
		return publication->mode & 0040;
	return publication->mode & 0004;
}

int inproc_matrix_create(struct lf_matrix *matrix, struct lf_error *error)
{
	struct inproc *inproc = to_inproc(matrix->device);
	const struct lf_command command = {
		.opcode = LF_OP_CREATE,
		.first = matrix->rows,
		.width = matrix->cols,
		.rank = matrix->format,
	};
	struct inproc_reference *reference;
	uint64_t identifier;
	int err = -ENOMEM;

	pthread_mutex_lock(&inproc->references_lock);
	reference = free_reference(inproc);
	if (reference)
		err = inproc_manage(inproc, &command, NULL, 0, NULL, 0, &identifier);
	if (!err) {
		matrix->handle = (uint32_t)identifier;
		*reference = (struct inproc_reference){
			.matrix = matrix->handle,
			.handles = 1,
			.own = true,
		};
	}
	pthread_mutex_unlock(&inproc->references_lock);
	if (err)
		return lf_error_set(error, err, "matrix of %u x %u: %s", matrix->rows, matrix->cols,
				    strerror(-err));
	return 0;
}

int inproc_matrix_open(struct lf_matrix *matrix, const char *name, struct lf_error *error)
{
	struct inproc *inproc = to_inproc(matrix->device);
	struct inproc_reference *reference;
	struct lf_matrix_info entry;
	int err;

	pthread_mutex_lock(&inproc->references_lock);
	err = find_entry(inproc, 0, name, &entry);
	if (!err && is_hidden(inproc, entry.matrix))
		err = -ENOENT;
	if (!err && !may_read(inproc, &entry))
		err = -EACCES;
	if (!err) {
		reference = find_reference(inproc, entry.matrix);
		if (!reference) {
			reference = free_reference(inproc);
			if (reference)
				*reference = (struct inproc_reference){
					.matrix = entry.matrix,
					.lasting = true,
				};
		}
		if (reference) {
			reference->handles++;
			matrix->handle = entry.matrix;
		} else {
			err = -ENOMEM;
		}
	}
	pthread_mutex_unlock(&inproc->references_lock);
	if (err == -ENOENT)
		return lf_error_set(error, err, "matrix \"%s\": there is none of this name", name);
	if (err == -EACCES)
		return lf_error_set(
			error, err, "matrix \"%s\": mode 0%o of user %u does not let user %u read",
			name, entry.publication.mode, entry.publication.owner, inproc->account);
	if (err)
		return lf_error_set(error, err, "matrix \"%s\": %s", name, strerror(-err));
	return 0;
}

void inproc_matrix_close(struct lf_matrix *matrix)
{
	struct inproc *inproc = to_inproc(matrix->device);
	struct inproc_reference *reference;

	pthread_mutex_lock(&inproc->references_lock);
	reference = find_reference(inproc, matrix->handle);
	if (reference && !--reference->handles && !reference->lasting)
		delete_matrix(inproc, matrix->handle);
	pthread_mutex_unlock(&inproc->references_lock);
}

int inproc_matrix_commit(struct lf_matrix *matrix, struct lf_error *error)
{
	const struct lf_command command = { .opcode = LF_OP_COMMIT, .matrix = matrix->handle };
	int err = inproc_manage(to_inproc(matrix->device), &command, NULL, 0, NULL, 0, NULL);

	if (err == -EINVAL)
		return lf_error_set(error, -EBUSY, "commit: rows were not programmed");
	if (err)
		return lf_error_set(error, err, "commit: %s", strerror(-err));
	return 0;
}

int inproc_matrix_publish(struct lf_matrix *matrix, const char *name, uint32_t mode,
			  struct lf_error *error)
{
	struct inproc *inproc = to_inproc(matrix->device);
	const struct lf_command command = {
		.opcode = LF_OP_PUBLISH,
		.matrix = matrix->handle,
		.input = { .space = LF_SPACE_BUFFER },
	};
	struct lf_publication publication = {
		.owner = inproc->account,
		.group = getegid(),
		.mode = mode,
	};
	struct inproc_reference *reference;
	struct lf_matrix_info entry;
	int err;

	memcpy(publication.name, name, strlen(name));
	pthread_mutex_lock(&inproc->references_lock);
	reference = find_reference(inproc, matrix->handle);
	err = find_entry(inproc, matrix->handle, NULL, &entry);
	if (!err && !reference->own && !may_change(inproc, &entry))
		err = -EPERM;
	if (!err)
		err = inproc_manage(inproc, &command, &publication, sizeof(publication), NULL, 0,
				    NULL);
	if (!err)
		reference->lasting = true;
	pthread_mutex_unlock(&inproc->references_lock);
	if (err == -EEXIST)
		return lf_error_set(error, err, "publish \"%s\": the name is taken", name);
	if (err == -EPERM)
		return lf_error_set(error, err, "publish \"%s\": the matrix is of user %u", name,
				    entry.publication.owner);
	if (err)
		return lf_error_set(error, err, "publish \"%s\": %s", name, strerror(-err));
	return 0;
}

int inproc_matrix_unlink(struct lf_device *device, const char *name, struct lf_error *error)
{
	struct inproc *inproc = to_inproc(device);
	struct inproc_reference *reference;
	struct lf_matrix_info entry;
	int err;

	pthread_mutex_lock(&inproc->references_lock);
	err = find_entry(inproc, 0, name, &entry);
	if (!err && is_hidden(inproc, entry.matrix))
		err = -ENOENT;
	if (!err && !may_change(inproc, &entry))
		err = -EPERM;
	if (!err) {
		reference = find_reference(inproc, entry.matrix);
		if (reference)
			reference->lasting = false;
		else
			err = delete_matrix(inproc, entry.matrix);
	}
	pthread_mutex_unlock(&inproc->references_lock);
	if (err == -ENOENT)
		return lf_error_set(error, err, "matrix \"%s\": there is none of this name", name);
	if (err == -EPERM)
		return lf_error_set(error, err, "unlink \"%s\": the matrix is of user %u", name,
				    entry.publication.owner);
	if (err)
		return lf_error_set(error, err, "unlink \"%s\": %s", name, strerror(-err));
	return 0;
}

int inproc_matrix_refresh(struct lf_matrix *matrix, uint64_t *cells_written, struct lf_error *error)
{
	struct inproc *inproc = to_inproc(matrix->device);
	const struct lf_command command = { .opcode = LF_OP_REFRESH, .matrix = matrix->handle };
	struct inproc_reference *reference;
	struct lf_matrix_info entry;
	int err;

	pthread_mutex_lock(&inproc->references_lock);
	reference = find_reference(inproc, matrix->handle);
	err = find_entry(inproc, matrix->handle, NULL, &entry);
	if (!err && !reference->own && !may_change(inproc, &entry))
		err = -EPERM;
	pthread_mutex_unlock(&inproc->references_lock);
	if (err == -EPERM)
		return lf_error_set(error, err, "refresh: the matrix is of user %u",
				    entry.publication.owner);
	if (!err)
		err = inproc_manage(inproc, &command, NULL, 0, NULL, 0, cells_written);
	if (err == -EDQUOT)
		return lf_error_set(error, err,
				    "refresh: needs more than the write budget of user %u allows",
				    inproc->account);
	if (err)
		return lf_error_set(error, err, "refresh: %s",
				    err == -EIO ? "cells do not verify" : strerror(-err));
	return 0;
}

int inproc_matrix_info(const struct lf_matrix *matrix, struct lf_matrix_info *info,
		       struct lf_error *error)
{
	int err = find_entry(to_inproc(matrix->device), matrix->handle, NULL, info);

	if (err)
		return lf_error_set(error, err, "matrix %u: %s", matrix->handle, strerror(-err));
	return 0;
}

int inproc_matrix_list(struct lf_device *device, struct lf_matrix_info *entries, uint32_t count,
		       uint32_t *first, struct lf_error *error)
{
	struct inproc *inproc = to_inproc(device);
	int kept = 0;
	int read;

	pthread_mutex_lock(&inproc->references_lock);
	read = list_entries(inproc, entries, count, first);
	for (int i = 0; i < read; i++) {
		if (entries[i].state == LF_MATRIX_PUBLISHED &&
		    !is_hidden(inproc, entries[i].matrix) && may_read(inproc, &entries[i]))
			entries[kept++] = entries[i];
	}
	pthread_mutex_unlock(&inproc->references_lock);
	if (read < 0)
		return lf_error_set(error, read, "matrix list: %s", strerror(-read));
	return kept;
}

int inproc_quota(struct lf_device *device, uint32_t account, const uint64_t *new_quota_cells,
		 struct lf_account *quota, struct lf_error *error)
{
	struct inproc *inproc = to_inproc(device);
	const struct lf_command command = {
		.opcode = LF_OP_ACCOUNT,
		.flags = new_quota_cells ? LF_ACCOUNT_SET_QUOTA : 0,
		.first = account,
		.input = { .space = new_quota_cells ? LF_SPACE_BUFFER : LF_SPACE_NONE },
		.output = { .space = LF_SPACE_BUFFER, .buffer = 1 },
	};
	int err = inproc_manage(inproc, &command, new_quota_cells,
				new_quota_cells ? sizeof(*new_quota_cells) : 0, quota,
				sizeof(*quota), NULL);

	if (err)
		return lf_error_set(error, err, "quota of user %u: %s", account,
				    err == -ENOSPC ? "the ledger is full" : strerror(-err));
	return 0;
}
