/* SPDX-License-Identifier: Apache-2.0
 * Which CPUs are close to a device, by hwloc: those of the package or NUMA node that a GPU's slot
 * belongs to; of a CPU device, or of one part of it, its own. */
#include <hwloc.h>
#include <stdio.h>
#include <string.h>

#include "agent/device/bind.h"

hwloc_topology_t sl_locality_topology(void) {
    hwloc_topology_t topology = NULL;
    if (hwloc_topology_init(&topology) != 0) {
        return NULL;
    }
    /* Without this PCI devices are left out. */
    hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    if (hwloc_topology_load(topology) != 0) {
        hwloc_topology_destroy(topology);
        return NULL;
    }
    return topology;
}

static hwloc_cpuset_t part_cpus(hwloc_topology_t topology, const struct sl_discovered *found) {
    hwloc_obj_t root = hwloc_get_root_obj(topology);
    hwloc_cpuset_t sets[SL_DISCOVER_SPLIT_MAX] = {NULL};
    unsigned count = found->sub_count < 1 ? 1 : found->sub_count;
    count = count > SL_DISCOVER_SPLIT_MAX ? SL_DISCOVER_SPLIT_MAX : count;
    if (hwloc_distrib(topology, &root, 1, sets, count, INT_MAX, 0) != 0) {
        return NULL;
    }
    hwloc_cpuset_t mine = hwloc_bitmap_dup(sets[found->sub_index % count]);
    for (unsigned i = 0; i < count; i++) {
        hwloc_bitmap_free(sets[i]);
    }
    return mine;
}

hwloc_cpuset_t sl_locality_cpus(hwloc_topology_t topology, const struct sl_discovered *found) {
    const struct sl_pci_place *pci = &found->info.place.pci;
    if (found->info.is_cpu) {
        return part_cpus(topology, found);
    }
    hwloc_obj_t device = pci->known ? hwloc_get_pcidev_by_busid(topology, pci->domain, pci->bus,
                                                                pci->device, pci->function)
                                    : NULL;
    hwloc_obj_t close = device ? hwloc_get_non_io_ancestor_obj(topology, device) : NULL;
    return close && close->cpuset ? hwloc_bitmap_dup(close->cpuset) : NULL;
}

/* "packages 0-1, " for the objects of a kind that the CPUs belong to. */
static int say(hwloc_topology_t topology, hwloc_const_bitmap_t cpus, hwloc_obj_type_t type,
               const char *one, const char *many, char *out, size_t size) {
    hwloc_bitmap_t indexes = hwloc_bitmap_alloc();
    char list[32] = "";
    int n = hwloc_get_nbobjs_by_type(topology, type);
    for (int i = 0; indexes && i < n; i++) {
        hwloc_obj_t obj = hwloc_get_obj_by_type(topology, type, (unsigned)i);
        if (obj && obj->cpuset && hwloc_bitmap_intersects(obj->cpuset, cpus)) {
            hwloc_bitmap_set(indexes, obj->os_index);
        }
    }
    int weight = indexes ? hwloc_bitmap_weight(indexes) : 0;
    if (weight > 0) {
        hwloc_bitmap_list_snprintf(list, sizeof list, indexes);
    }
    hwloc_bitmap_free(indexes);
    return weight > 0 ? snprintf(out, size, "%s %s, ", weight == 1 ? one : many, list) : 0;
}

static void describe(hwloc_topology_t topology, struct sl_discovered *found) {
    char *out = found->info.place.locality;
    char list[48];
    hwloc_cpuset_t cpus = sl_locality_cpus(topology, found);
    if (!cpus || hwloc_bitmap_iszero(cpus)) {
        hwloc_bitmap_free(cpus);
        return;
    }
    size_t at = 0;
    at +=
        (size_t)say(topology, cpus, HWLOC_OBJ_PACKAGE, "package", "packages", out, SL_LOCALITY_MAX);
    at += at < SL_LOCALITY_MAX ? (size_t)say(topology, cpus, HWLOC_OBJ_NUMANODE, "NUMA node",
                                             "NUMA nodes", out + at, SL_LOCALITY_MAX - at)
                               : 0;
    hwloc_bitmap_list_snprintf(list, sizeof list, cpus);
    if (at < SL_LOCALITY_MAX) {
        snprintf(out + at, SL_LOCALITY_MAX - at, "%s %s",
                 hwloc_bitmap_weight(cpus) == 1 ? "CPU" : "CPUs", list);
    }
    hwloc_bitmap_free(cpus);
}

void sl_locality_describe(struct sl_discovery *found) {
    hwloc_topology_t topology = sl_locality_topology();
    for (uint32_t i = 0; topology && i < found->count; i++) {
        describe(topology, &found->devices[i]);
    }
    if (topology) {
        hwloc_topology_destroy(topology);
    }
}
