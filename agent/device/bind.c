/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device/bind.h"

#include <errno.h>
#include <hwloc.h>
#include <string.h>

static hwloc_obj_t gpu_place(hwloc_topology_t topology, const struct sl_pci_place *pci) {
    hwloc_obj_t device =
        hwloc_get_pcidev_by_busid(topology, pci->domain, pci->bus, pci->device, pci->function);
    return device ? hwloc_get_non_io_ancestor_obj(topology, device) : NULL;
}

static int bind_to(hwloc_topology_t topology, hwloc_const_cpuset_t set, struct sl_error *err) {
    if (!set || hwloc_bitmap_iszero(set)) {
        return sl_fail(err, SL_UNSUPPORTED, "the machine's topology has no place for the device");
    }
    if (hwloc_set_cpubind(topology, set, HWLOC_CPUBIND_THREAD) != 0) {
        return sl_fail_errno(err, "cannot bind a device's thread");
    }
    return SL_OK;
}

static int bind_cpu(hwloc_topology_t topology, const struct sl_discovered *found,
                    struct sl_error *err) {
    hwloc_obj_t root = hwloc_get_root_obj(topology);
    hwloc_cpuset_t sets[SL_DISCOVER_SPLIT_MAX] = {NULL};
    unsigned count = found->sub_count < 1 ? 1 : found->sub_count;
    count = count > SL_DISCOVER_SPLIT_MAX ? SL_DISCOVER_SPLIT_MAX : count;
    if (hwloc_distrib(topology, &root, 1, sets, count, INT_MAX, 0) != 0) {
        return sl_fail(err, SL_UNSUPPORTED, "cannot spread the devices' threads over the cores");
    }
    int rc = bind_to(topology, sets[found->sub_index % count], err);
    for (unsigned i = 0; i < count; i++) {
        hwloc_bitmap_free(sets[i]);
    }
    return rc;
}

int sl_bind_thread(const struct sl_discovered *found, struct sl_error *err) {
    hwloc_topology_t topology = NULL;
    if (hwloc_topology_init(&topology) != 0) {
        return sl_fail(err, SL_NOMEM, "no memory for the machine's topology");
    }
    /* Without this PCI devices are left out. */
    hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    int rc = SL_OK;
    if (hwloc_topology_load(topology) != 0) {
        rc = sl_fail(err, SL_IO, "cannot read the machine's topology");
    } else if (found->info.is_cpu) {
        rc = bind_cpu(topology, found, err);
    } else if (found->pci.known) {
        hwloc_obj_t place = gpu_place(topology, &found->pci);
        rc = bind_to(topology, place ? place->cpuset : NULL, err);
    } else {
        rc = sl_fail(err, SL_UNSUPPORTED, "the driver does not say where the device sits");
    }
    hwloc_topology_destroy(topology);
    return rc;
}
