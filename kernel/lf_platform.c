// SPDX-License-Identifier: GPL-2.0-only
/*
 * LF-1 on a platform bus, found through the device tree.
 */
#include <linux/dma-mapping.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/pm.h>
#include <linux/property.h>

#include "lf_device.h"

static int request_irqs(struct lf_device *lf)
{
	struct platform_device *pdev = to_platform_device(lf->drm.dev);
	int irq = platform_get_irq(pdev, 0);

	if (irq < 0)
		return irq;
	return devm_request_irq(&pdev->dev, irq, lf_shared_irq, IRQF_SHARED, "lf_accel", lf);
}

static const struct lf_bus lf_platform_bus = {
	.name = "platform",
	.request_irqs = request_irqs,
};

static int lf_platform_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct lf_device *lf;
	void __iomem *regs;
	int err;

	regs = devm_platform_ioremap_resource(pdev, 0);
	if (IS_ERR(regs))
		return PTR_ERR(regs);
	/* Buffers and records are shared with the device without cache maintenance. */
	if (device_get_dma_attr(dev) != DEV_DMA_COHERENT)
		return dev_err_probe(dev, -EOPNOTSUPP, "the device needs coherent DMA\n");
	err = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
	if (err)
		return err;
	dma_set_max_seg_size(dev, UINT_MAX);

	lf = lf_device_create(dev, &lf_platform_bus, regs);
	if (IS_ERR(lf))
		return PTR_ERR(lf);
	return lf_device_start(lf);
}

static void lf_platform_remove(struct platform_device *pdev)
{
	lf_device_remove(platform_get_drvdata(pdev));
}

static void lf_platform_shutdown(struct platform_device *pdev)
{
	lf_device_shutdown(platform_get_drvdata(pdev));
}

static DEFINE_SIMPLE_DEV_PM_OPS(lf_platform_pm_ops, lf_device_suspend, lf_device_resume);

static const struct of_device_id lf_platform_ids[] = { { .compatible = "lorafusion,lf-1" }, {} };
MODULE_DEVICE_TABLE(of, lf_platform_ids);

static struct platform_driver lf_platform_driver = {
	.driver = {
		.name = "lf_accel",
		.of_match_table = lf_platform_ids,
		.dev_groups = lf_sysfs_groups,
		.pm = pm_sleep_ptr(&lf_platform_pm_ops),
	},
	.probe = lf_platform_probe,
	.remove = lf_platform_remove,
	.shutdown = lf_platform_shutdown,
};

/**
 * lf_platform_register() - drive devices of the device tree
 *
 * Return: 0 or a negative errno.
 */
int lf_platform_register(void)
{
	return platform_driver_register(&lf_platform_driver);
}

/**
 * lf_platform_unregister() - the end of lf_platform_register()
 */
void lf_platform_unregister(void)
{
	platform_driver_unregister(&lf_platform_driver);
}
