// SPDX-License-Identifier: GPL-2.0-only
/*
 * A perf PMU: `perf stat -a -e lf_accel_0000_01_00.0/energy-adc/`. Energy in joules by component, and
 * what the device did. Counts are the device's own totals, so nothing is sampled and nothing is lost
 * between reads; they tell of everyone's work, so they are for those who have CAP_PERFMON.
 *
 * perf touches a PMU after it has told that an event is gone, and open events keep the module alone.
 * So a PMU lives as long as the module: unbinding only takes its device away, opening then fails with
 * ENODEV, and the next binding of the same bus address gives it one again. An event counts for the
 * binding it was opened in, and can be read to its end until the next.
 */
#include <linux/capability.h>
#include <linux/device.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/perf_event.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "lf_device.h"
#include "lf_pmu.h"
#include "lf_telemetry.h"

/* Energy is counted in picojoules: 64 bits of them last for five hours at a kilowatt. */
#define LF_PMU_SCALE	  "1.0e-12"

/* An event is a word of struct lf_telemetry_block, or the sum of its energies. */
#define LF_PMU_TOTAL	  0xff

/* Two prefixes and a bus address. */
#define LF_PMU_NAME_BYTES 64

/**
 * struct lf_pmu - the PMU of a bus address
 * @base: of perf
 * @link: in @pmus
 * @name: of @base
 * @lock: guards what follows; perf takes it with interrupts off and a raw lock held
 * @lf: device that is bound there, or NULL
 * @binding: number of its binding, or of the last
 * @has_last: the device told @last when it was unbound
 * @last: its totals then
 */
struct lf_pmu {
	struct pmu base;
	struct list_head link;
	char name[LF_PMU_NAME_BYTES];
	raw_spinlock_t lock;
	struct lf_device *lf;
	u64 binding;
	bool has_last;
	struct lf_telemetry_block last;
};

/* Until the module goes. */
static LIST_HEAD(pmus);
static DEFINE_MUTEX(pmus_lock);

static struct lf_pmu *to_lf_pmu(struct pmu *base)
{
	return container_of(base, struct lf_pmu, base);
}

static bool is_event(u64 config)
{
	switch (config) {
	case LF_ENERGY_ARRAY ... LF_ENERGY_STATIC:
	case LF_PMU_TOTAL:
	case LF_TELEMETRY_WORD(busy_ns):
	case LF_TELEMETRY_WORD(jobs):
	case LF_TELEMETRY_WORD(mvm_count):
	case LF_TELEMETRY_WORD(mac_count):
	case LF_TELEMETRY_WORD(conversions):
	case LF_TELEMETRY_WORD(clips):
	case LF_TELEMETRY_WORD(cells_written):
	case LF_TELEMETRY_WORD(cells_erased):
	case LF_TELEMETRY_WORD(verify_retries):
	case LF_TELEMETRY_WORD(host_bytes):
		return true;
	default:
		return false;
	}
}

static int read_words(struct lf_pmu *pmu, unsigned int first, unsigned int count, __le64 *words)
{
	if (pmu->lf)
		return lf_hw_telemetry_words(pmu->lf, first, count, words);
	if (!pmu->has_last)
		return -ENODEV;
	memcpy(words, (__le64 *)&pmu->last + first, count * sizeof(*words));
	return 0;
}

/* The total that an event counts, of its binding. */
static int read_total(struct perf_event *event, u64 *total)
{
	struct lf_pmu *pmu = to_lf_pmu(event->pmu);
	bool all = event->attr.config == LF_PMU_TOTAL;
	unsigned int i, count = all ? LF_ENERGY_COMPONENTS : 1;
	__le64 words[LF_ENERGY_COMPONENTS];
	unsigned long flags;
	int err = -ENODEV;

	raw_spin_lock_irqsave(&pmu->lock, flags);
	if (pmu->binding == event->hw.config)
		err = read_words(pmu, all ? 0 : event->attr.config, count, words);
	raw_spin_unlock_irqrestore(&pmu->lock, flags);
	if (err)
		return err;
	*total = 0;
	for (i = 0; i < count; i++)
		*total += le64_to_cpu(words[i]);
	return 0;
}

/* A device that has gone leaves the count as it is. */
static void lf_pmu_read(struct perf_event *event)
{
	s64 before;
	u64 total;

	if (event->hw.state & PERF_HES_STOPPED)
		return;
	before = local64_read(&event->hw.prev_count);
	do {
		if (read_total(event, &total))
			return;
	} while (!local64_try_cmpxchg(&event->hw.prev_count, &before, total));
	local64_add(total - before, &event->count);
}

static void lf_pmu_start(struct perf_event *event, int flags)
{
	u64 total;

	if (read_total(event, &total))
		return;
	local64_set(&event->hw.prev_count, total);
	event->hw.state = 0;
}

static void lf_pmu_stop(struct perf_event *event, int flags)
{
	if (flags & PERF_EF_UPDATE)
		lf_pmu_read(event);
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
}

/* Never fails: perf would leave out the events behind it. One whose binding is over stays stopped. */
static int lf_pmu_add(struct perf_event *event, int flags)
{
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
	if (flags & PERF_EF_START)
		lf_pmu_start(event, flags);
	return 0;
}

static void lf_pmu_del(struct perf_event *event, int flags)
{
	lf_pmu_stop(event, PERF_EF_UPDATE);
}

static int lf_pmu_event_init(struct perf_event *event)
{
	struct lf_pmu *pmu = to_lf_pmu(event->pmu);
	unsigned long flags;
	int err = 0;

	if (event->attr.type != event->pmu->type)
		return -ENOENT;
	/* A property of the device: nobody's task, and nothing to sample. */
	if (is_sampling_event(event) || event->attach_state & PERF_ATTACH_TASK ||
	    has_branch_stack(event) || event->cpu < 0 || event->attr.config1 ||
	    event->attr.config2 || event->attr.config3)
		return -EINVAL;
	if (!is_event(event->attr.config))
		return -EINVAL;
	/* Stricter than perf_event_paranoid may be: energy is a side channel. */
	if (!perfmon_capable())
		return -EACCES;
	raw_spin_lock_irqsave(&pmu->lock, flags);
	event->hw.config = pmu->binding;
	if (!pmu->lf)
		err = -ENODEV;
	raw_spin_unlock_irqrestore(&pmu->lock, flags);
	return err;
}

PMU_FORMAT_ATTR(event, "config:0-7");

static struct attribute *lf_pmu_format_attributes[] = {
	&format_attr_event.attr,
	NULL,
};

static const struct attribute_group lf_pmu_format_group = {
	.name = "format",
	.attrs = lf_pmu_format_attributes,
};

static ssize_t config_show(struct device *dev, struct device_attribute *attribute, char *text)
{
	return sysfs_emit(text, "event=0x%02llx\n",
			  container_of(attribute, struct perf_pmu_events_attr, attr)->id);
}

/* clang-format off */

#define LF_EVENT(_variable, _name, _config) \
	PMU_EVENT_ATTR(_name, _variable, _config, config_show)

#define LF_ENERGY_EVENT(_component, _config)                                                     \
	LF_EVENT(energy_##_component, energy-_component, _config)                                \
	PMU_EVENT_ATTR_STRING(energy-_component.scale, energy_##_component##_scale, LF_PMU_SCALE) \
	PMU_EVENT_ATTR_STRING(energy-_component.unit, energy_##_component##_unit, "Joules")

#define LF_ENERGY_ATTRIBUTES(_component)            \
	&energy_##_component.attr.attr,             \
	&energy_##_component##_scale.attr.attr,     \
	&energy_##_component##_unit.attr.attr

LF_ENERGY_EVENT(array, LF_ENERGY_ARRAY)
LF_ENERGY_EVENT(dac, LF_ENERGY_DAC)
LF_ENERGY_EVENT(adc, LF_ENERGY_ADC)
LF_ENERGY_EVENT(digital, LF_ENERGY_DIGITAL)
LF_ENERGY_EVENT(program, LF_ENERGY_PROGRAM)
LF_ENERGY_EVENT(static, LF_ENERGY_STATIC)
LF_ENERGY_EVENT(total, LF_PMU_TOTAL)
LF_EVENT(busy, busy, LF_TELEMETRY_WORD(busy_ns))
PMU_EVENT_ATTR_STRING(busy.unit, busy_unit, "ns")
LF_EVENT(jobs, jobs, LF_TELEMETRY_WORD(jobs))
LF_EVENT(vectors, vectors, LF_TELEMETRY_WORD(mvm_count))
LF_EVENT(macs, macs, LF_TELEMETRY_WORD(mac_count))
LF_EVENT(conversions, conversions, LF_TELEMETRY_WORD(conversions))
LF_EVENT(clips, clips, LF_TELEMETRY_WORD(clips))
LF_EVENT(cells_written, cells-written, LF_TELEMETRY_WORD(cells_written))
LF_EVENT(cells_erased, cells-erased, LF_TELEMETRY_WORD(cells_erased))
LF_EVENT(verify_retries, verify-retries, LF_TELEMETRY_WORD(verify_retries))
LF_EVENT(host_bytes, host-bytes, LF_TELEMETRY_WORD(host_bytes))
PMU_EVENT_ATTR_STRING(host-bytes.unit, host_bytes_unit, "B")

/* clang-format on */

static struct attribute *lf_pmu_event_attributes[] = {
	LF_ENERGY_ATTRIBUTES(array),
	LF_ENERGY_ATTRIBUTES(dac),
	LF_ENERGY_ATTRIBUTES(adc),
	LF_ENERGY_ATTRIBUTES(digital),
	LF_ENERGY_ATTRIBUTES(program),
	LF_ENERGY_ATTRIBUTES(static),
	LF_ENERGY_ATTRIBUTES(total),
	&busy.attr.attr,
	&busy_unit.attr.attr,
	&jobs.attr.attr,
	&vectors.attr.attr,
	&macs.attr.attr,
	&conversions.attr.attr,
	&clips.attr.attr,
	&cells_written.attr.attr,
	&cells_erased.attr.attr,
	&verify_retries.attr.attr,
	&host_bytes.attr.attr,
	&host_bytes_unit.attr.attr,
	NULL,
};

static const struct attribute_group lf_pmu_event_group = {
	.name = "events",
	.attrs = lf_pmu_event_attributes,
};

static const struct attribute_group *lf_pmu_groups[] = {
	&lf_pmu_format_group,
	&lf_pmu_event_group,
	NULL,
};

/* "lf_accel_" and the bus address, in which perf would take a colon for the end of the name. */
static void name_of(const struct lf_device *lf, char name[LF_PMU_NAME_BYTES])
{
	snprintf(name, LF_PMU_NAME_BYTES, "lf_accel_%s", dev_name(lf->drm.dev));
	strreplace(name, ':', '_');
}

static struct lf_pmu *find(const struct lf_device *lf)
{
	char name[LF_PMU_NAME_BYTES];
	struct lf_pmu *pmu;

	name_of(lf, name);
	list_for_each_entry(pmu, &pmus, link) {
		if (!strcmp(pmu->name, name))
			return pmu;
	}
	return NULL;
}

static struct lf_pmu *add(const struct lf_device *lf)
{
	struct lf_pmu *pmu = kzalloc(sizeof(*pmu), GFP_KERNEL);
	int err;

	if (!pmu)
		return ERR_PTR(-ENOMEM);
	raw_spin_lock_init(&pmu->lock);
	name_of(lf, pmu->name);
	pmu->base = (struct pmu){
		.module = THIS_MODULE,
		.task_ctx_nr = perf_invalid_context,
		.scope = PERF_PMU_SCOPE_SYS_WIDE,
		.capabilities = PERF_PMU_CAP_NO_EXCLUDE,
		.attr_groups = lf_pmu_groups,
		.event_init = lf_pmu_event_init,
		.add = lf_pmu_add,
		.del = lf_pmu_del,
		.start = lf_pmu_start,
		.stop = lf_pmu_stop,
		.read = lf_pmu_read,
	};
	err = perf_pmu_register(&pmu->base, pmu->name, -1);
	if (err) {
		kfree(pmu);
		return ERR_PTR(err);
	}
	list_add(&pmu->link, &pmus);
	return pmu;
}

/**
 * lf_pmu_register() - give a device a PMU, that of an earlier binding if there was one
 * @lf: device that runs
 *
 * Return: 0, -ENOMEM or what perf says.
 */
int lf_pmu_register(struct lf_device *lf)
{
	struct lf_pmu *pmu;

	mutex_lock(&pmus_lock);
	pmu = find(lf) ?: add(lf);
	if (!IS_ERR(pmu)) {
		raw_spin_lock_irq(&pmu->lock);
		pmu->binding++;
		pmu->lf = lf;
		raw_spin_unlock_irq(&pmu->lock);
	}
	mutex_unlock(&pmus_lock);
	return PTR_ERR_OR_ZERO(pmu);
}

/**
 * lf_pmu_unregister() - take a PMU's device away
 * @lf: device that is about to go; need not have a PMU
 *
 * Open events stay and count no further; what they counted so far can be read.
 */
void lf_pmu_unregister(struct lf_device *lf)
{
	struct lf_pmu *pmu;

	mutex_lock(&pmus_lock);
	pmu = find(lf);
	if (pmu && pmu->lf == lf) {
		raw_spin_lock_irq(&pmu->lock);
		pmu->has_last = !lf_hw_telemetry(lf, &pmu->last);
		pmu->lf = NULL;
		raw_spin_unlock_irq(&pmu->lock);
	}
	mutex_unlock(&pmus_lock);
}

/**
 * lf_pmu_exit() - remove all PMUs; the module goes, so no event is open and no device bound
 */
void lf_pmu_exit(void)
{
	struct lf_pmu *pmu, *next;

	list_for_each_entry_safe(pmu, next, &pmus, link) {
		perf_pmu_unregister(&pmu->base);
		kfree(pmu);
	}
}
