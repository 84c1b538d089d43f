// SPDX-License-Identifier: GPL-2.0-only
/*
 * The DRM driver: files, the table of ioctls, bringing a device up and down. The buses are lf_pci.c
 * and lf_platform.c.
 */
#include <linux/module.h>
#include <linux/uaccess.h>

#include <drm/drm_accel.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_managed.h>
#include <drm/lf_accel.h>

#include "lf_context.h"
#include "lf_device.h"
#include "lf_directory.h"
#include "lf_dump.h"
#include "lf_exclusive.h"
#include "lf_fdinfo.h"
#include "lf_gem.h"
#include "lf_job.h"
#include "lf_manage.h"
#include "lf_matrix.h"
#include "lf_netlink.h"
#include "lf_pmu.h"
#include "lf_quota.h"
#include "lf_sched.h"
#include "lf_submit.h"
#include "lf_telemetry.h"

static unsigned int job_timeout_ms = 30000;
module_param(job_timeout_ms, uint, 0444);
MODULE_PARM_DESC(job_timeout_ms, "How long a job may run before it is ended, ms (default 30000)");

static unsigned int fail_probe_step;
module_param(fail_probe_step, uint, 0444);
MODULE_PARM_DESC(
	fail_probe_step,
	"For tests: let this step of probing fail with ENOMEM, counted from 1 (default 0: none)");

static int lf_query_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_lf_query *args = data;
	struct lf_device *lf = to_lf_device(drm);
	const struct lf_limits *limits = &lf->limits;
	struct drm_lf_device_info info = {
		.hw_version = limits->version,
		.features = limits->features,
		.formats = limits->formats,
		.queues = limits->queues - 1,
		.job_commands = limits->job_commands,
		.job_buffers = limits->job_buffers,
		.job_matrices = limits->job_matrices,
		.job_scratch_bytes = limits->job_scratch_bytes,
		.job_syncs = limits->job_syncs,
		.batch = limits->batch,
		.matrices = limits->matrices,
		.matrix_rows = limits->matrix_rows,
		.matrix_cols = limits->matrix_cols,
		.tiles = limits->tiles,
		.tile_rows = limits->tile_rows,
		.tile_cols = limits->tile_cols,
		.tile_weights = limits->tile_weights,
		.cell_bits = limits->cell_bits,
		.adc_bits = limits->adc_bits,
		.dac_bits = limits->dac_bits,
		.buffer_bytes = limits->buffer_bytes,
		.job_timeout_ms = jiffies_to_msecs(lf->job_timeout),
		.job_bytes = limits->job_bytes,
	};

	if (args->type != DRM_LF_QUERY_DEVICE)
		return -EINVAL;
	memcpy(info.preset, limits->preset, sizeof(info.preset));
	strscpy_pad((char *)info.bus, lf->bus->name, sizeof(info.bus));
	if (args->pointer && copy_to_user(u64_to_user_ptr(args->pointer), &info,
					  min_t(size_t, args->size, sizeof(info))))
		return -EFAULT;
	args->size = sizeof(info);
	return 0;
}

static int lf_open(struct drm_device *drm, struct drm_file *file)
{
	struct lf_context *context = lf_context_create(to_lf_device(drm));

	if (IS_ERR(context))
		return PTR_ERR(context);
	file->driver_priv = context;
	return 0;
}

static void lf_postclose(struct drm_device *drm, struct drm_file *file)
{
	lf_context_close(to_lf_device(drm), to_lf_context(file));
}

static const struct drm_ioctl_desc lf_ioctls[] = {
	DRM_IOCTL_DEF_DRV(LF_QUERY, lf_query_ioctl, 0),
	DRM_IOCTL_DEF_DRV(LF_BO_CREATE, lf_bo_create_ioctl, 0),
	DRM_IOCTL_DEF_DRV(LF_BO_INFO, lf_bo_info_ioctl, 0),
	DRM_IOCTL_DEF_DRV(LF_MATRIX_CREATE, lf_matrix_create_ioctl, 0),
	DRM_IOCTL_DEF_DRV(LF_MATRIX_OPEN, lf_matrix_open_ioctl, 0),
	DRM_IOCTL_DEF_DRV(LF_MATRIX_INFO, lf_matrix_info_ioctl, 0),
	DRM_IOCTL_DEF_DRV(LF_MATRIX_COMMIT, lf_matrix_commit_ioctl, 0),
	DRM_IOCTL_DEF_DRV(LF_MATRIX_PUBLISH, lf_matrix_publish_ioctl, 0),
	DRM_IOCTL_DEF_DRV(LF_MATRIX_UNLINK, lf_matrix_unlink_ioctl, 0),
	DRM_IOCTL_DEF_DRV(LF_MATRIX_CLOSE, lf_matrix_close_ioctl, 0),
	DRM_IOCTL_DEF_DRV(LF_MATRIX_LIST, lf_matrix_list_ioctl, 0),
	DRM_IOCTL_DEF_DRV(LF_SUBMIT, lf_submit_ioctl, 0),
	DRM_IOCTL_DEF_DRV(LF_TELEMETRY, lf_telemetry_ioctl, 0),
	DRM_IOCTL_DEF_DRV(LF_QUOTA, lf_quota_ioctl, 0),
	DRM_IOCTL_DEF_DRV(LF_MATRIX_REFRESH, lf_matrix_refresh_ioctl, 0),
	DRM_IOCTL_DEF_DRV(LF_PRIORITY, lf_priority_ioctl, 0),
};

/*
 * The DRM core pads a structure of an older program; one of a newer program it would cut off in
 * silence, so what this kernel does not know is checked here.
 */
static int check_tail(unsigned int cmd, unsigned long arg)
{
	unsigned int nr = DRM_IOCTL_NR(cmd) - DRM_COMMAND_BASE;
	size_t known, given = _IOC_SIZE(cmd);
	int zero;

	if (DRM_IOCTL_NR(cmd) < DRM_COMMAND_BASE || nr >= ARRAY_SIZE(lf_ioctls))
		return 0;
	known = _IOC_SIZE(lf_ioctls[nr].cmd);
	if (given <= known)
		return 0;
	zero = check_zeroed_user((void __user *)arg + known, given - known);
	if (zero < 0)
		return zero;
	return zero ? 0 : -E2BIG;
}

static long lf_unlocked_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return check_tail(cmd, arg) ?: drm_ioctl(file, cmd, arg);
}

#ifdef CONFIG_COMPAT
static long lf_compat_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return check_tail(cmd, arg) ?: drm_compat_ioctl(file, cmd, arg);
}
#endif

static const struct file_operations lf_fops = {
	.owner = THIS_MODULE,
	.open = accel_open,
	.release = drm_release,
	.unlocked_ioctl = lf_unlocked_ioctl,
#ifdef CONFIG_COMPAT
	.compat_ioctl = lf_compat_ioctl,
#endif
	.poll = drm_poll,
	.read = drm_read,
	.llseek = noop_llseek,
	.mmap = drm_gem_mmap,
	.show_fdinfo = drm_show_fdinfo,
	.fop_flags = FOP_UNSIGNED_OFFSET,
};

static const struct drm_driver lf_driver = {
	.driver_features =
		DRIVER_COMPUTE_ACCEL | DRIVER_GEM | DRIVER_SYNCOBJ | DRIVER_SYNCOBJ_TIMELINE,
	.open = lf_open,
	.postclose = lf_postclose,
	.show_fdinfo = lf_fdinfo_show,
	.gem_create_object = lf_gem_create_object,
	.gem_prime_import_sg_table = lf_gem_import,
	.ioctls = lf_ioctls,
	.num_ioctls = ARRAY_SIZE(lf_ioctls),
	.fops = &lf_fops,
	.name = "lf_accel",
	.desc = "LF-1 ReRAM crossbar accelerator",
	.date = "20260101",
	.major = 1,
	.minor = 0,
};

/**
 * lf_device_create() - allocate a device and find out what it is
 * @dev: bus device, set up for DMA
 * @bus: its bus
 * @regs: the register block
 *
 * Return: the device, freed with the last file after @dev is unbound; ERR_PTR of -ENODEV, -EPROTO,
 * -EINVAL, -ENOMEM.
 */
struct lf_device *lf_device_create(struct device *dev, const struct lf_bus *bus, void __iomem *regs)
{
	struct lf_device *lf;
	unsigned int i;
	int err;

	lf = devm_drm_dev_alloc(dev, &lf_driver, struct lf_device, drm);
	if (IS_ERR(lf))
		return lf;
	lf->bus = bus;
	lf->regs = regs;
	raw_spin_lock_init(&lf->telemetry_lock);
	lf_kcov_init(&lf->kcov);
	lf->job_timeout = max(4UL, msecs_to_jiffies(job_timeout_ms));
	lf->tick = min_t(unsigned long, lf->job_timeout / 4, HZ);
	for (i = 0; i < ARRAY_SIZE(lf->queues); i++)
		lf_queue_init(lf, i);
	err = lf_hw_identify(lf);
	return err ? ERR_PTR(err) : lf;
}

static void destroy_workqueue_action(struct drm_device *drm, void *workqueue)
{
	destroy_workqueue(workqueue);
}

/**
 * lf_device_own_workqueue() - let a workqueue live as long as the device
 * @lf: device
 * @workqueue: result of its allocation, may be NULL
 *
 * Return: 0 or -ENOMEM.
 */
int lf_device_own_workqueue(struct lf_device *lf, struct workqueue_struct *workqueue)
{
	if (!workqueue)
		return -ENOMEM;
	return drmm_add_action_or_reset(&lf->drm, destroy_workqueue_action, workqueue);
}

/**
 * lf_device_probe_step() - begin a step of probing
 * @lf: device
 *
 * Return: 0, or -ENOMEM for the step that a test lets fail.
 */
int lf_device_probe_step(struct lf_device *lf)
{
	if (++lf->probe_steps != fail_probe_step)
		return 0;
	dev_info(lf->drm.dev, "step %u of probing fails as told\n", fail_probe_step);
	return -ENOMEM;
}

static int allocate_queues(struct lf_device *lf)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < lf->limits.queues; i++)
		err = lf_queue_allocate(&lf->queues[i]);
	return err;
}

static int request_irqs(struct lf_device *lf)
{
	return lf->bus->request_irqs(lf);
}

static int register_node(struct lf_device *lf)
{
	return drm_dev_register(&lf->drm, 0);
}

typedef int (*probe_step)(struct lf_device *lf);

/* Nothing of these needs to be taken back by hand; the DRM device or the bus device does. */
static const probe_step setup_steps[] = {
	lf_reset_init,	   lf_dump_init,   lf_jobs_init,  lf_gem_init,	   lf_matrix_init,
	lf_directory_init, lf_manage_init, lf_sched_init, allocate_queues,
};

/* From the first of these on the device has to be stopped again. */
static const probe_step start_steps[] = {
	lf_hw_reset,	   request_irqs,    lf_reset_start,	 lf_directory_load,
	lf_hwmon_register, lf_pmu_register, lf_netlink_register, register_node,
};

static int take_steps(struct lf_device *lf, const probe_step *steps, size_t count)
{
	size_t i;
	int err = 0;

	for (i = 0; !err && i < count; i++)
		err = lf_device_probe_step(lf) ?: steps[i](lf);
	return err;
}

/* Before the device is unplugged: what reads it does not ask whether it still may. */
static void hide(struct lf_device *lf)
{
	lf_netlink_unregister(lf);
	lf_pmu_unregister(lf);
}

/* The device is unplugged, or no one has seen it yet. */
static void stop(struct lf_device *lf)
{
	lf_directory_drop(lf);
	lf_reset_remove(lf);
	lf_matrix_flush(lf);
	lf_jobs_unmap(lf);
	lf_gem_unmap(lf);
	lf_dump_remove(lf);
}

/**
 * lf_device_start() - bring a device up and let userspace see it
 * @lf: of lf_device_create(); the bus allows it DMA
 *
 * Return: 0 or a negative errno, then the device is stopped.
 */
int lf_device_start(struct lf_device *lf)
{
	struct device *dev = lf->drm.dev;
	int err;

	dev_set_drvdata(dev, lf);
	err = take_steps(lf, setup_steps, ARRAY_SIZE(setup_steps));
	if (err)
		return err;
	err = take_steps(lf, start_steps, ARRAY_SIZE(start_steps));
	if (err) {
		hide(lf);
		/* So that work in the background finds that the device has gone. */
		drm_dev_unplug(&lf->drm);
		stop(lf);
		return dev_err_probe(dev, err, "the device does not start\n");
	}
	lf_debugfs_register(lf);
	return 0;
}

/**
 * lf_device_remove() - take a device down
 * @lf: started device; it may have gone already
 *
 * Files may stay open; all they can still do is close.
 */
void lf_device_remove(struct lf_device *lf)
{
	hide(lf);
	WRITE_ONCE(lf->closing, true);
	/* While it can still be told: what was deleted is deleted on the device. */
	lf_matrix_flush(lf);
	drm_dev_unplug(&lf->drm);
	stop(lf);
}

/**
 * lf_device_shutdown() - stop DMA before the machine goes down
 * @lf: started device
 */
void lf_device_shutdown(struct lf_device *lf)
{
	hide(lf);
	WRITE_ONCE(lf->closing, true);
	drm_dev_unplug(&lf->drm);
	lf_reset_remove(lf);
}

/**
 * lf_device_suspend() - for the buses: the device is about to lose its power
 * @dev: bus device
 *
 * Return: 0.
 */
int lf_device_suspend(struct device *dev)
{
	lf_reset_suspend(dev_get_drvdata(dev));
	return 0;
}

/**
 * lf_device_resume() - for the buses: the device has power again
 * @dev: bus device
 *
 * Return: 0; a device that does not come back is wedged, which its users are told.
 */
int lf_device_resume(struct device *dev)
{
	lf_reset_resume(dev_get_drvdata(dev));
	return 0;
}

static int __init lf_module_init(void)
{
	int err;

	err = lf_netlink_init();
	if (err)
		return err;
	err = lf_pci_register();
	if (err)
		goto exit_netlink;
	err = lf_platform_register();
	if (err)
		goto unregister_pci;
	return 0;

unregister_pci:
	lf_pci_unregister();
	lf_pmu_exit();
exit_netlink:
	lf_netlink_exit();
	return err;
}
module_init(lf_module_init);

static void __exit lf_module_exit(void)
{
	lf_platform_unregister();
	lf_pci_unregister();
	lf_pmu_exit();
	lf_netlink_exit();
}
module_exit(lf_module_exit);

MODULE_AUTHOR("LoRAFusion");
MODULE_DESCRIPTION("LF-1 ReRAM crossbar accelerator");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF);
