/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device/bind.h"

#include <errno.h>
#include <hwloc.h>
#include <string.h>

int sl_bind_thread(const struct sl_discovered *found, struct sl_error *err) {
    if (!found->info.is_cpu && !found->info.place.pci.known) {
        return sl_fail(err, SL_UNSUPPORTED, "the driver does not say where the device sits");
    }
    hwloc_topology_t topology = sl_locality_topology();
    if (!topology) {
        return sl_fail(err, SL_IO, "cannot read the machine's topology");
    }
    hwloc_cpuset_t cpus = sl_locality_cpus(topology, found);
    int rc = SL_OK;
    if (!cpus || hwloc_bitmap_iszero(cpus)) {
        rc = sl_fail(err, SL_UNSUPPORTED, "the machine's topology has no place for the device");
    } else if (hwloc_set_cpubind(topology, cpus, HWLOC_CPUBIND_THREAD) != 0) {
        rc = sl_fail_errno(err, "cannot bind a device's thread");
    }
    hwloc_bitmap_free(cpus);
    hwloc_topology_destroy(topology);
    return rc;
}
