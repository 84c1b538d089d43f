/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * struct lf_device, the buses it may sit on, and the calls of lf_drv.c, lf_hw.c and lf_reset.c.
 * Each other concern has its own header.
 */
#ifndef LF_DEVICE_H
#define LF_DEVICE_H

#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include <drm/drm_device.h>

#include "lf_kcov.h"
#include "lf_limits.h"
#include "lf_queue.h"

struct lf_device;
struct lf_dump;
struct lf_manage;

/* A record with a larger status is treated as LF_STATUS_INTERNAL, and its queue reset. */
#define LF_STATUS_LAST LF_STATUS_THERMAL

/**
 * struct lf_bus - what differs between PCI and platform
 * @name: as told to userspace, "pci" or "platform"
 * @request_irqs: request the interrupts of @lf->limits.queues queues and of events
 * @stop_dma: keep the device from memory; NULL where the bus cannot
 * @start_dma: let it reach memory again; NULL where the bus cannot
 */
struct lf_bus {
	const char *name;
	int (*request_irqs)(struct lf_device *lf);
	void (*stop_dma)(struct lf_device *lf);
	void (*start_dma)(struct lf_device *lf);
};

/**
 * struct lf_device - one LF-1
 * @drm: the DRM device; its lifetime is that of this structure, which open files prolong
 * @bus: where it sits
 * @regs: the register block; only between drm_dev_enter() and drm_dev_exit() once registered
 * @limits: constant after probe
 * @queues: queue 0 takes management commands, the others jobs
 * @submit_wq: the schedulers run here
 * @jobs: jobs not yet freed
 * @job_wait: files that have too many jobs in flight wait here
 * @job_timeout: how long a job may run, jiffies
 * @tick: how often what is in flight is looked after, jiffies
 * @dead_jobs: jobs that ended and are to be freed
 * @free_work: frees them, where reservations may be taken
 * @free_wq: runs @free_work
 * @mapping_lock: guards @mapped_jobs
 * @mapped_jobs: jobs whose commands are mapped for the device
 * @buffer_lock: guards @buffers and the mappings of those
 * @buffers: buffers that are mapped for the device
 * @reset_lock: serialises recovery; see Documentation/driver.md for the order of locks
 * @reset_wq: ordered; timeouts and device events run here
 * @events: LF_EVENT_* that @event_work has not seen yet
 * @event_work: looks at a device that raised an event
 * @resets: number of resets, of queues and of the device, since probe
 * @fruitless_resets: of the device, since its last good record
 * @wedged: the device did not come back from a reset
 * @suspended: the device sleeps, and what is submitted waits; under @reset_lock
 * @closing: the device is about to be unbound
 * @dump: for the next devcoredump, lf_dump.c
 * @probe_steps: steps of probing taken so far
 * @manage: the management channel, lf_manage.c
 * @create_lock: one matrix is made at a time, so that what a reset cut short can be found
 * @matrices: struct lf_matrix by the device's identifier, until it is deleted there
 * @context_ids: last number given to a file
 * @directory_lock: guards @published and the names and states of its matrices
 * @published: matrices with a name; each holds a reference
 * @reap_lock: guards @reap
 * @reap: matrices without users, to be deleted
 * @reap_wq: ordered; deletes matrices and erases tiles
 * @reap_work: does it
 * @telemetry_lock: serialises latching and reading of LF_REG_TELEMETRY
 * @hwmon_start: totals at probe, from which the average power counts
 * @kcov: coverage of what workers do for no file; that of who bound the device
 */
struct lf_device {
	struct drm_device drm;
	const struct lf_bus *bus;
	void __iomem *regs;
	struct lf_limits limits;
	struct lf_queue queues[LF_QUEUES_MAX];
	struct workqueue_struct *submit_wq;
	atomic_t jobs;
	wait_queue_head_t job_wait;
	unsigned long job_timeout;
	unsigned long tick;
	struct llist_head dead_jobs;
	struct work_struct free_work;
	struct workqueue_struct *free_wq;
	spinlock_t mapping_lock;
	struct list_head mapped_jobs;
	struct mutex buffer_lock;
	struct list_head buffers;

	struct mutex reset_lock;
	struct workqueue_struct *reset_wq;
	atomic_t events;
	struct work_struct event_work;
	atomic_t resets;
	u32 fruitless_resets;
	bool wedged;
	bool suspended;
	bool closing;
	struct lf_dump *dump;
	unsigned int probe_steps;

	struct lf_manage *manage;
	struct mutex create_lock;
	struct xarray matrices;
	atomic64_t context_ids;

	struct mutex directory_lock;
	struct list_head published;
	spinlock_t reap_lock;
	struct list_head reap;
	struct workqueue_struct *reap_wq;
	struct work_struct reap_work;

	raw_spinlock_t telemetry_lock;
	struct lf_telemetry_block hwmon_start;
	struct lf_kcov kcov;
};

static inline struct lf_device *to_lf_device(struct drm_device *drm)
{
	return container_of(drm, struct lf_device, drm);
}

static inline u32 lf_read(struct lf_device *lf, u32 offset)
{
	return readl(lf->regs + offset);
}

static inline void lf_write(struct lf_device *lf, u32 offset, u32 value)
{
	writel(value, lf->regs + offset);
}

/* Whether the device knows what came with this minor version of the interface. */
static inline bool lf_speaks(const struct lf_device *lf, u32 minor)
{
	return (lf->limits.version & 0xffff) >= minor;
}

/* lf_drv.c */
struct lf_device *lf_device_create(struct device *dev, const struct lf_bus *bus,
				   void __iomem *regs);
int lf_device_start(struct lf_device *lf);
void lf_device_remove(struct lf_device *lf);
void lf_device_shutdown(struct lf_device *lf);
int lf_device_suspend(struct device *dev);
int lf_device_resume(struct device *dev);
int lf_device_probe_step(struct lf_device *lf);
int lf_device_own_workqueue(struct lf_device *lf, struct workqueue_struct *workqueue);

/* lf_hw.c */
int lf_hw_identify(struct lf_device *lf);
bool lf_hw_present(struct lf_device *lf);
int lf_hw_reset(struct lf_device *lf);
int lf_hw_enable(struct lf_device *lf);
u32 lf_hw_queue_state(struct lf_device *lf, unsigned int index);
int lf_hw_disable_queue(struct lf_device *lf, unsigned int index);
int lf_hw_telemetry_words(struct lf_device *lf, unsigned int first, unsigned int count,
			  __le64 *words);
int lf_hw_telemetry(struct lf_device *lf, struct lf_telemetry_block *block);

/* lf_reset.c */
int lf_reset_init(struct lf_device *lf);
int lf_reset_start(struct lf_device *lf);
void lf_reset(struct lf_device *lf, struct lf_queue *queue, struct lf_request *guilty,
	      const char *reason);
void lf_reset_check(struct lf_device *lf);
void lf_reset_watch(struct lf_device *lf, struct lf_queue *queue, struct lf_request *request,
		    unsigned long timeout);
void lf_reset_suspend(struct lf_device *lf);
int lf_reset_resume(struct lf_device *lf);
void lf_reset_remove(struct lf_device *lf);

/* lf_irq.c */
irqreturn_t lf_queue_irq(int irq, void *data);
irqreturn_t lf_event_irq(int irq, void *data);
irqreturn_t lf_shared_irq(int irq, void *data);
irqreturn_t lf_single_irq(int irq, void *data);
void lf_event_init(struct lf_device *lf);
void lf_event_notify(struct lf_device *lf, u32 events);
void lf_reset_later(struct lf_device *lf);

/* lf_sysfs.c */
extern const struct attribute_group *lf_sysfs_groups[];

/* lf_hwmon.c */
#if IS_ENABLED(CONFIG_HWMON)
int lf_hwmon_register(struct lf_device *lf);
#else
static inline int lf_hwmon_register(struct lf_device *lf)
{
	return 0;
}
#endif

/* lf_debugfs.c */
#ifdef CONFIG_DEBUG_FS
void lf_debugfs_register(struct lf_device *lf);
#else
static inline void lf_debugfs_register(struct lf_device *lf)
{
}
#endif

/* lf_pci.c and lf_platform.c */
#ifdef CONFIG_PCI
int lf_pci_register(void);
void lf_pci_unregister(void);
#else
static inline int lf_pci_register(void)
{
	return 0;
}

static inline void lf_pci_unregister(void)
{
}
#endif
int lf_platform_register(void);
void lf_platform_unregister(void);

#endif
