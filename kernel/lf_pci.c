// SPDX-License-Identifier: GPL-2.0-only
/*
 * LF-1 on PCI Express.
 */
#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/pm.h>

#include "lf_device.h"

static char *irq = "msix";
module_param(irq, charp, 0444);
MODULE_PARM_DESC(irq, "The best kind of interrupt to use: msix, msi or intx (default msix)");

static bool may_use(const char *kind)
{
	return !strcmp(irq, kind);
}

/* Vector 0 for events, 1 + q for queue q: the device knows no other way, so all or MSI. */
static int request_msix(struct lf_device *lf, struct pci_dev *pdev)
{
	int vectors = 1 + lf->limits.queues;
	unsigned int i, requested;
	int err;

	if (lf->limits.vectors < vectors)
		return -ENOSPC;
	err = pci_alloc_irq_vectors(pdev, vectors, vectors, PCI_IRQ_MSIX);
	if (err < 0)
		return err;
	err = devm_request_irq(&pdev->dev, pci_irq_vector(pdev, 0), lf_event_irq, 0,
			       "lf_accel-events", lf);
	if (err)
		goto free_vectors;
	for (requested = 0; requested < lf->limits.queues; requested++) {
		struct lf_queue *queue = &lf->queues[requested];

		err = devm_request_irq(&pdev->dev, pci_irq_vector(pdev, 1 + requested),
				       lf_queue_irq, 0, queue->name, queue);
		if (err)
			goto free_irqs;
	}
	/* A queue for each processor, see lf_sched_entity_init(). Where this fails it is slower. */
	for (i = 1; i < lf->limits.queues; i++)
		irq_set_affinity(pci_irq_vector(pdev, 1 + i), get_cpu_mask(i - 1));
	return 0;

free_irqs:
	while (requested--)
		devm_free_irq(&pdev->dev, pci_irq_vector(pdev, 1 + requested),
			      &lf->queues[requested]);
	devm_free_irq(&pdev->dev, pci_irq_vector(pdev, 0), lf);
free_vectors:
	pci_free_irq_vectors(pdev);
	return err;
}

static int request_irqs(struct lf_device *lf)
{
	struct pci_dev *pdev = to_pci_dev(lf->drm.dev);
	int err;

	if (may_use("msix") && !request_msix(lf, pdev))
		return 0;
	err = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_INTX | (may_use("intx") ? 0 : PCI_IRQ_MSI));
	if (err < 0)
		return err;
	if (pdev->msi_enabled)
		return devm_request_irq(&pdev->dev, pci_irq_vector(pdev, 0), lf_single_irq, 0,
					"lf_accel", lf);
	return devm_request_irq(&pdev->dev, pci_irq_vector(pdev, 0), lf_shared_irq, IRQF_SHARED,
				"lf_accel", lf);
}

static void start_dma(struct lf_device *lf)
{
	pci_set_master(to_pci_dev(lf->drm.dev));
}

static void stop_dma(struct lf_device *lf)
{
	pci_clear_master(to_pci_dev(lf->drm.dev));
}

static const struct lf_bus lf_pci_bus = {
	.name = "pci",
	.request_irqs = request_irqs,
	.stop_dma = stop_dma,
	.start_dma = start_dma,
};

static int lf_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct lf_device *lf;
	int err;

	err = pcim_enable_device(pdev);
	if (err)
		return err;
	if (pci_resource_len(pdev, LF_PCI_REGISTER_BAR) < LF_REG_BYTES)
		return dev_err_probe(&pdev->dev, -ENODEV, "the register window is too small\n");
	err = pcim_iomap_regions(pdev, BIT(LF_PCI_REGISTER_BAR), "lf_accel");
	if (err)
		return err;
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (err)
		return err;
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);

	lf = lf_device_create(&pdev->dev, &lf_pci_bus, pcim_iomap_table(pdev)[LF_PCI_REGISTER_BAR]);
	if (IS_ERR(lf))
		return PTR_ERR(lf);
	return lf_device_start(lf);
}

static void lf_pci_remove(struct pci_dev *pdev)
{
	lf_device_remove(pci_get_drvdata(pdev));
}

static void lf_pci_shutdown(struct pci_dev *pdev)
{
	lf_device_shutdown(pci_get_drvdata(pdev));
}

/* Somebody resets the function, with the driver bound: the jobs wait. It brings a wedged device back. */
static void lf_pci_reset_prepare(struct pci_dev *pdev)
{
	lf_device_suspend(&pdev->dev);
}

static void lf_pci_reset_done(struct pci_dev *pdev)
{
	lf_device_resume(&pdev->dev);
}

static const struct pci_error_handlers lf_pci_error_handlers = {
	.reset_prepare = lf_pci_reset_prepare,
	.reset_done = lf_pci_reset_done,
};

static DEFINE_SIMPLE_DEV_PM_OPS(lf_pci_pm_ops, lf_device_suspend, lf_device_resume);

static const struct pci_device_id lf_pci_ids[] = {
	{ PCI_DEVICE(LF_PCI_VENDOR_ID, LF_PCI_DEVICE_ID) }, {}
};
MODULE_DEVICE_TABLE(pci, lf_pci_ids);

static struct pci_driver lf_pci_driver = {
	.name = "lf_accel",
	.id_table = lf_pci_ids,
	.probe = lf_pci_probe,
	.remove = lf_pci_remove,
	.shutdown = lf_pci_shutdown,
	.dev_groups = lf_sysfs_groups,
	.err_handler = &lf_pci_error_handlers,
	.driver.pm = pm_sleep_ptr(&lf_pci_pm_ops),
};

/**
 * lf_pci_register() - drive devices on PCI
 *
 * Return: 0 or a negative errno.
 */
int lf_pci_register(void)
{
	return pci_register_driver(&lf_pci_driver);
}

/**
 * lf_pci_unregister() - the end of lf_pci_register()
 */
void lf_pci_unregister(void)
{
	pci_unregister_driver(&lf_pci_driver);
}
