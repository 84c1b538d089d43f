/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Access to the host's memory.
 *
 * It is done on the executor thread under the BQL, neither from a bottom half
 * (a trip through the main loop for each of the many small jobs of a training
 * step) nor without the lock (an IOMMU that reports a fault delivers an
 * interrupt, for which TCG insists on the BQL). The accesses are marked as
 * going to memory only, so that a page list that names registers, our own
 * among them, is refused instead of re-entering a device.
 */
#include "qemu/osdep.h"
#include "exec/address-spaces.h"
#include "lf-accel.h"
#include "trace.h"

static const MemTxAttrs lf_dma_attrs = { .memory = 1 };

MemTxResult lf_dma_read(LFAccel *s, uint64_t address, void *to, size_t bytes)
{
    MemTxResult result = address_space_read(s->dma, address, lf_dma_attrs, to,
                                            bytes);

    if (result != MEMTX_OK) {
        trace_lf_accel_dma_read_error(address, bytes, result);
    }
    return result;
}

MemTxResult lf_dma_write(LFAccel *s, uint64_t address, const void *from,
                         size_t bytes)
{
    MemTxResult result = address_space_write(s->dma, address, lf_dma_attrs,
                                             from, bytes);

    if (result != MEMTX_OK) {
        trace_lf_accel_dma_write_error(address, bytes, result);
    }
    return result;
}
