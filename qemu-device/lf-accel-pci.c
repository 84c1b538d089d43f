/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LF-1 on PCI Express: BAR 0 is the register block, BAR 4 the MSI-X table. A
 * host without MSI-X gets one MSI message or INTx, steered by LF_REG_IRQ_STATUS
 * and LF_REG_IRQ_MASK.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/hotplug.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci.h"
#include "hw/pci/pcie.h"
#include "hw/pci/pcie_port.h"
#include "migration/misc.h"
#include "migration/vmstate.h"
#include "qemu/module.h"
#include "lf-accel.h"
#include "trace.h"

#define TYPE_LF_ACCEL_PCI "lf-accel"
OBJECT_DECLARE_SIMPLE_TYPE(LFAccelPCI, LF_ACCEL_PCI)

/* Processing accelerator, of no particular kind. */
#define LF_PCI_CLASS 0x1200

#define LF_PCI_PM_OFFSET 0x60
#define LF_PCI_EXPRESS_OFFSET 0x80

struct LFAccelPCI {
    PCIDevice parent_obj;
    LFAccel core;
};

static LFAccelPCI *lf_pci_of(LFAccel *s)
{
    return container_of(s, LFAccelPCI, core);
}

/* INTx follows the unmasked status bits; MSI speaks when one is set. */
static void lf_pci_update(LFAccel *s)
{
    PCIDevice *pci = PCI_DEVICE(lf_pci_of(s));

    if (!msix_enabled(pci) && !msi_enabled(pci)) {
        pci_set_irq(pci, (s->irq_status & ~s->irq_mask) != 0);
    }
}

static void lf_pci_raise(LFAccel *s, unsigned vector)
{
    PCIDevice *pci = PCI_DEVICE(lf_pci_of(s));

    trace_lf_accel_interrupt(vector);
    if (msix_enabled(pci)) {
        msix_notify(pci, vector);
        return;
    }
    s->irq_status |= BIT(vector);
    if (msi_enabled(pci)) {
        if (!(s->irq_mask & BIT(vector))) {
            msi_notify(pci, 0);
        }
    } else {
        lf_pci_update(s);
    }
}

static bool lf_pci_check_removable(LFAccel *s, Error **errp)
{
    DeviceState *device = s->device;

    if (!device->parent_bus || !qbus_is_hotpluggable(device->parent_bus) ||
        !qdev_get_hotplug_handler(device)) {
        error_setg(errp, "the device is not behind a port that can lose it");
        return false;
    }
    if (!migration_is_idle()) {
        error_setg(errp, "the machine is being saved or moved");
        return false;
    }
    return true;
}

/* What a port that reports hotplug tells the host of an empty slot. */
static void lf_pci_tell_port(PCIDevice *port)
{
    uint8_t *express = port->config + port->exp.exp_cap;
    uint16_t control;
    uint16_t status;

    pci_word_test_and_clear_mask(express + PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_PDS);
    pci_word_test_and_clear_mask(express + PCI_EXP_LNKSTA,
                                 PCI_EXP_LNKSTA_DLLLA);
    /* Not the link's change as well: QEMU's ports let no host clear that. */
    pci_word_test_and_set_mask(express + PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_PDC);
    /* The control written as it is makes the port look at its status anew. */
    pcie_cap_slot_get(port, &control, &status);
    pcie_cap_slot_write_config(port, control, status,
                               port->exp.exp_cap + PCI_EXP_SLTCTL, control,
                               sizeof(control));
}

/*
 * A card that is pulled: no attention button, no consent. What device_del does
 * once the host has agreed happens at once, and the port reports it.
 */
static void lf_pci_remove(LFAccel *s)
{
    DeviceState *device = s->device;
    HotplugHandler *handler = qdev_get_hotplug_handler(device);
    Object *port = object_dynamic_cast(OBJECT(handler), TYPE_PCIE_SLOT);

    device->pending_deleted_event = true;
    hotplug_handler_unplug(handler, device, &error_abort);
    object_unparent(OBJECT(device));
    if (port) {
        lf_pci_tell_port(PCI_DEVICE(port));
    }
}

static const LFBus lf_pci_bus = {
    .raise = lf_pci_raise,
    .update = lf_pci_update,
    .check_removable = lf_pci_check_removable,
    .remove = lf_pci_remove,
};

static int lf_pci_add_power_management(PCIDevice *pci, Error **errp)
{
    int offset = pci_add_capability(pci, PCI_CAP_ID_PM, LF_PCI_PM_OFFSET,
                                    PCI_PM_SIZEOF, errp);

    if (offset < 0) {
        return offset;
    }
    pci_set_word(pci->config + offset + PCI_PM_PMC, PCI_PM_CAP_VER_1_2);
    pci_set_word(pci->config + offset + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
    pci_set_word(pci->wmask + offset + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
    return 0;
}

static void lf_pci_add_capabilities(PCIDevice *pci, unsigned vectors,
                                    Error **errp)
{
    int ret;

    pci_config_set_interrupt_pin(pci->config, 1);
    if (lf_pci_add_power_management(pci, errp) < 0) {
        return;
    }
    if (pcie_endpoint_cap_init(pci, LF_PCI_EXPRESS_OFFSET) < 0) {
        error_setg(errp, "no PCI Express capability");
        return;
    }
    pcie_cap_flr_init(pci);
    if (msi_init(pci, 0, 1, true, false, errp) < 0) {
        return;
    }
    ret = msix_init_exclusive_bar(pci, vectors, LF_PCI_MSIX_BAR, errp);
    if (ret < 0) {
        msi_uninit(pci);
        return;
    }
    for (unsigned i = 0; i < vectors; i++) {
        msix_vector_use(pci, i);
    }
}

static void lf_pci_remove_capabilities(PCIDevice *pci)
{
    msix_unuse_all_vectors(pci);
    msix_uninit_exclusive_bar(pci);
    msi_uninit(pci);
    pcie_cap_exit(pci);
}

static void lf_pci_realize(PCIDevice *pci, Error **errp)
{
    LFAccelPCI *device = LF_ACCEL_PCI(pci);
    LFAccel *s = &device->core;
    ERRP_GUARD();

    lf_accel_realize(s, DEVICE(pci), &lf_pci_bus, pci_get_address_space(pci),
                     errp);
    if (*errp) {
        return;
    }
    pci_register_bar(pci, LF_PCI_REGISTER_BAR,
                     PCI_BASE_ADDRESS_SPACE_MEMORY |
                         PCI_BASE_ADDRESS_MEM_TYPE_64,
                     &s->registers);
    lf_pci_add_capabilities(pci, lf_accel_vectors(s), errp);
    if (*errp) {
        lf_accel_unrealize(s);
    }
}

static void lf_pci_exit(PCIDevice *pci)
{
    LFAccelPCI *device = LF_ACCEL_PCI(pci);

    lf_accel_unrealize(&device->core);
    lf_pci_remove_capabilities(pci);
}

/* Also how a function level reset arrives. */
static void lf_pci_reset(DeviceState *device)
{
    lf_accel_bus_reset(&LF_ACCEL_PCI(device)->core);
}

static void lf_pci_config_write(PCIDevice *pci, uint32_t address,
                                uint32_t value, int bytes)
{
    pci_default_write_config(pci, address, value, bytes);
    pcie_cap_flr_write_config(pci, address, value, bytes);
}

static void lf_pci_instance_init(Object *object)
{
    lf_accel_init(&LF_ACCEL_PCI(object)->core, object);
}

static void lf_pci_instance_finalize(Object *object)
{
    lf_accel_finalize(&LF_ACCEL_PCI(object)->core);
}

/* clang-format off */
static const VMStateDescription vmstate_lf_pci = {
    .name = TYPE_LF_ACCEL_PCI,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, LFAccelPCI),
        VMSTATE_MSIX(parent_obj, LFAccelPCI),
        VMSTATE_STRUCT(core, LFAccelPCI, 1, vmstate_lf_accel, LFAccel),
        VMSTATE_END_OF_LIST()
    },
};
/* clang-format on */

static Property lf_pci_properties[] = {
    DEFINE_LF_ACCEL_PROPERTIES(LFAccelPCI, core),
    DEFINE_PROP_END_OF_LIST(),
};

static void lf_pci_class_init(ObjectClass *class, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(class);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(class);

    pc->realize = lf_pci_realize;
    pc->exit = lf_pci_exit;
    pc->config_write = lf_pci_config_write;
    pc->vendor_id = LF_PCI_VENDOR_ID;
    pc->device_id = LF_PCI_DEVICE_ID;
    pc->class_id = LF_PCI_CLASS;
    pc->revision = LF_HW_VERSION_MAJOR;
    dc->desc = "LF-1 ReRAM crossbar accelerator";
    dc->vmsd = &vmstate_lf_pci;
    dc->reset = lf_pci_reset;
    device_class_set_props(dc, lf_pci_properties);
    lf_accel_describe_properties(class);
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
}

/* clang-format off */
static const TypeInfo lf_pci_types[] = {
    {
        .name = TYPE_LF_ACCEL_PCI,
        .parent = TYPE_PCI_DEVICE,
        .instance_size = sizeof(LFAccelPCI),
        .instance_init = lf_pci_instance_init,
        .instance_finalize = lf_pci_instance_finalize,
        .class_init = lf_pci_class_init,
        .interfaces = (InterfaceInfo[]) {
            { INTERFACE_PCIE_DEVICE },
            { }
        },
    },
};
/* clang-format on */

DEFINE_TYPES(lf_pci_types)
