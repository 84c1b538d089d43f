/* SPDX-License-Identifier: MIT */
/* A device behind the lf_accel kernel driver: what the drm*.c files share. */
#ifndef LF_DEVICE_DRM_H
#define LF_DEVICE_DRM_H

#include <stdint.h>

#include <drm/lf_accel.h>

#include "runtime/device/backend.h"

/**
 * struct drm_device - an opened node
 * @device: common part
 * @fd: of the node
 */
struct drm_device {
	struct lf_device device;
	int fd;
};

static inline int drm_fd(const struct lf_device *device)
{
	return ((const struct drm_device *)device)->fd;
}

/** drm_call() - an ioctl; 0 or negative errno */
int drm_call(const struct lf_device *device, unsigned long request, void *argument);

/* The backend's functions, as in backend.h. */
int drm_buffer_create(struct lf_buffer *buffer, struct lf_error *error);
void drm_buffer_destroy(struct lf_buffer *buffer);
int drm_matrix_create(struct lf_matrix *matrix, struct lf_error *error);
int drm_matrix_open(struct lf_matrix *matrix, const char *name, struct lf_error *error);
void drm_matrix_close(struct lf_matrix *matrix);
int drm_matrix_commit(struct lf_matrix *matrix, struct lf_error *error);
int drm_matrix_publish(struct lf_matrix *matrix, const char *name, uint32_t mode,
		       struct lf_error *error);
int drm_matrix_unlink(struct lf_device *device, const char *name, struct lf_error *error);
int drm_matrix_refresh(struct lf_matrix *matrix, uint64_t *cells_written, struct lf_error *error);
int drm_matrix_info(const struct lf_matrix *matrix, struct lf_matrix_info *info,
		    struct lf_error *error);
int drm_matrix_list(struct lf_device *device, struct lf_matrix_info *entries, uint32_t count,
		    uint32_t *first, struct lf_error *error);
int drm_job_create(struct lf_device *device, struct lf_job **job, struct lf_error *error);
void drm_job_destroy(struct lf_job *job);
int drm_job_submit(struct lf_job *job, struct lf_error *error);
int drm_job_wait(struct lf_job *job, int64_t timeout_ns, struct lf_error *error);

#endif
