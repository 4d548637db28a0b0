/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device/discover.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/device/bind.h"
#include "agent/device/discover_internal.h"
#include "proto/base/text.h"
#include "proto/base/thread.h"

#define PLATFORMS_MAX 16
#define WORKERS_NICE 10 /* beside our own threads */
#define PROCESS_NICE 10 /* beside other sessions: a tenth of what each of them gets */
#define NOTHING_FOUND                                                                              \
    "install your GPU's OpenCL driver, or pocl-opencl-icd to use the CPU (Debian: apt install "    \
    "pocl-opencl-icd), and check with clinfo"

static void read_info(struct sl_discovered *d) {
    cl_device_type type = 0;
    cl_uint units = 0;
    cl_ulong memory = 0;
    cl_ulong alloc = 0;
    struct sl_device_info *info = &d->info;
    sl_cl_device_text(d->device, CL_DEVICE_NAME, info->name, sizeof info->name);
    sl_cl_device_text(d->device, CL_DRIVER_VERSION, info->driver, sizeof info->driver);
    sl_cl_platform_text(d->platform, CL_PLATFORM_NAME, info->platform, sizeof info->platform);
    clGetDeviceInfo(d->device, CL_DEVICE_TYPE, sizeof type, &type, NULL);
    clGetDeviceInfo(d->device, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
    clGetDeviceInfo(d->device, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof memory, &memory, NULL);
    clGetDeviceInfo(d->device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof alloc, &alloc, NULL);
    info->is_cpu = (type & CL_DEVICE_TYPE_CPU) != 0;
    info->compute_units = units;
    info->memory_bytes = memory;
    info->max_alloc_mib = (uint32_t)(alloc >> 20);
}

static bool has_same_pci(const struct sl_discovery *found, const struct sl_pci_place *place) {
    for (uint32_t i = 0; place->known && i < found->count; i++) {
        const struct sl_pci_place *other = &found->devices[i].info.place.pci;
        if (other->known && other->domain == place->domain && other->bus == place->bus &&
            other->device == place->device && other->function == place->function) {
            return true;
        }
    }
    return false;
}

static void add_device(struct sl_discovery *found, struct sl_discovered *d, uint32_t ordinal) {
    if (found->count == SL_DISCOVER_DEVICES_MAX) {
        return;
    }
    read_info(d);
    sl_identity_read(d, found->node, found->sysfs_root, ordinal);
    /* Two drivers may show one card: it must not be owned twice. */
    if (has_same_pci(found, &d->info.place.pci)) {
        return;
    }
    found->devices[found->count++] = *d;
}

static int list_devices(cl_platform_id platform, cl_device_type type,
                        cl_device_id ids[SL_DISCOVER_DEVICES_MAX], uint32_t *ret_count) {
    cl_uint count = 0;
    cl_int rc = clGetDeviceIDs(platform, type, SL_DISCOVER_DEVICES_MAX, ids, &count);
    if (rc != CL_SUCCESS) {
        count = 0; /* CL_DEVICE_NOT_FOUND is an ordinary answer; a broken driver has no devices */
    }
    *ret_count = count > SL_DISCOVER_DEVICES_MAX ? SL_DISCOVER_DEVICES_MAX : count;
    return SL_OK;
}

static void add_gpus(struct sl_discovery *found, cl_platform_id platform) {
    cl_device_id ids[SL_DISCOVER_DEVICES_MAX];
    uint32_t count = 0;
    list_devices(platform, CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_ACCELERATOR, ids, &count);
    for (uint32_t i = 0; i < count; i++) {
        struct sl_discovered d = {.platform = platform, .device = ids[i], .sub_count = 1};
        add_device(found, &d, i);
    }
}

static int split_cpu(struct sl_discovery *found, cl_platform_id platform, cl_device_id whole,
                     struct sl_error *err) {
    uint32_t parts = found->config.split_cpu;
    cl_uint units = 0;
    cl_device_partition_property properties[SL_DISCOVER_SPLIT_MAX + 3] = {0};
    cl_device_id subs[SL_DISCOVER_SPLIT_MAX];
    cl_uint count = 0;
    clGetDeviceInfo(whole, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
    if (parts > SL_DISCOVER_SPLIT_MAX || parts > units) {
        return sl_fail(err, SL_INVALID,
                       "the CPU device has %u compute units and cannot be split into %u devices; "
                       "ask for at most %u",
                       units, parts, units < SL_DISCOVER_SPLIT_MAX ? units : SL_DISCOVER_SPLIT_MAX);
    }
    /* By counts, so that no unit is left over where the parts are not equal. */
    properties[0] = CL_DEVICE_PARTITION_BY_COUNTS;
    for (uint32_t i = 0; i < parts; i++) {
        properties[1 + i] = units / parts + (i < units % parts ? 1 : 0);
    }
    properties[1 + parts] = CL_DEVICE_PARTITION_BY_COUNTS_LIST_END;
    cl_int rc = clCreateSubDevices(whole, properties, SL_DISCOVER_SPLIT_MAX, subs, &count);
    if (rc != CL_SUCCESS && units % parts == 0) {
        const cl_device_partition_property equally[] = {CL_DEVICE_PARTITION_EQUALLY, units / parts,
                                                        0};
        rc = clCreateSubDevices(whole, equally, SL_DISCOVER_SPLIT_MAX, subs, &count);
    }
    if (rc != CL_SUCCESS) {
        return sl_fail(err, SL_INVALID,
                       "this OpenCL driver cannot split its CPU device into %u: %s (%d); use it "
                       "whole",
                       parts, sl_cl_error_name(rc), (int)rc);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct sl_discovered d = {.platform = platform,
                                  .device = subs[i],
                                  .is_sub = true,
                                  .sub_index = i,
                                  .sub_count = count};
        add_device(found, &d, 0);
    }
    return SL_OK;
}

/* Only the first platform's CPU device: two drivers on the same cores would be one device twice. */
static int add_cpu(struct sl_discovery *found, const cl_platform_id *platforms, uint32_t count,
                   struct sl_error *err) {
    for (uint32_t i = 0; i < count; i++) {
        cl_device_id ids[SL_DISCOVER_DEVICES_MAX];
        uint32_t n = 0;
        list_devices(platforms[i], CL_DEVICE_TYPE_CPU, ids, &n);
        if (n == 0) {
            continue;
        }
        if (found->config.split_cpu > 1) {
            return split_cpu(found, platforms[i], ids[0], err);
        }
        struct sl_discovered d = {.platform = platforms[i], .device = ids[0], .sub_count = 1};
        add_device(found, &d, 0);
        return SL_OK;
    }
    return SL_OK;
}

static int enumerate(struct sl_discovery *found, struct sl_error *err) {
    cl_platform_id platforms[PLATFORMS_MAX];
    cl_uint count = 0;
    cl_int rc = clGetPlatformIDs(PLATFORMS_MAX, platforms, &count);
    if (rc != CL_SUCCESS || count == 0) {
        return sl_fail(err, SL_NOTFOUND, "no OpenCL platform on this machine: " NOTHING_FOUND);
    }
    count = count > PLATFORMS_MAX ? PLATFORMS_MAX : count;
    for (cl_uint i = 0; found->config.gpus && i < count; i++) {
        add_gpus(found, platforms[i]);
    }
    if (found->config.cpu == SL_CPU_USE_ALWAYS ||
        (found->config.cpu == SL_CPU_USE_AUTO && found->count == 0)) {
        int status = add_cpu(found, platforms, count, err);
        if (status != SL_OK) {
            return status;
        }
    }
    if (found->count == 0) {
        return sl_fail(err, SL_NOTFOUND,
                       "OpenCL is installed but offers no device that the config allows (gpus: "
                       "%s, cpu: %s): " NOTHING_FOUND,
                       found->config.gpus ? "yes" : "no",
                       found->config.cpu == SL_CPU_USE_NEVER ? "never" : "yes");
    }
    return SL_OK;
}

/* Drivers start their workers with the first context at the latest. */
static void start_workers(struct sl_discovery *found) {
    for (uint32_t i = 0; i < found->count; i++) {
        cl_int rc = CL_SUCCESS;
        cl_context context = clCreateContext(NULL, 1, &found->devices[i].device, NULL, NULL, &rc);
        if (rc == CL_SUCCESS) {
            clReleaseContext(context);
        }
    }
}

/* The workers of a CPU device take every core: the broker beside us must not wait for them. */
static void yield_to_other_processes(const struct sl_discovery *found) {
    bool on_cpu = false;
    for (uint32_t i = 0; i < found->count; i++) {
        on_cpu = on_cpu || found->devices[i].info.is_cpu;
    }
    if (on_cpu) {
        sl_process_patient(PROCESS_NICE);
    }
}

struct first_call {
    struct sl_discovery *found;
    int status;
    struct sl_error err;
};

static void *first_call_main(void *arg) {
    struct first_call *call = arg;
    sl_thread_name("opencl");
    sl_thread_patient(WORKERS_NICE);
    call->status = enumerate(call->found, &call->err);
    if (call->status == SL_OK) {
        yield_to_other_processes(call->found);
        start_workers(call->found);
    }
    return NULL;
}

/* PoCL keeps its own cache of compiled code: it belongs below ours, private to this user. */
static void prepare_cache(const struct sl_discovery *found) {
    char path[sizeof found->cache_dir + 8];
    if (found->cache_dir[0] == '\0') {
        return;
    }
    mkdir(found->cache_dir, 0700);
    chmod(found->cache_dir, 0700);
    snprintf(path, sizeof path, "%s/pocl", found->cache_dir);
    mkdir(path, 0700);
    setenv("POCL_CACHE_DIR", path, 0);
}

static int create(const struct sl_discover_config *config, struct sl_discovery **ret_discovery,
                  struct sl_error *err) {
    struct sl_discovery *found = calloc(1, sizeof *found);
    if (!found) {
        return sl_fail(err, SL_NOMEM, "no memory for the list of devices");
    }
    found->config = *config;
    if (!sl_text_copy(found->node, sizeof found->node, config->node) ||
        !sl_text_copy(found->cache_dir, sizeof found->cache_dir,
                      config->cache_dir ? config->cache_dir : "") ||
        !sl_text_copy(found->sysfs_root, sizeof found->sysfs_root,
                      config->sysfs_root ? config->sysfs_root : "/sys")) {
        free(found);
        return sl_fail(err, SL_LIMIT,
                       "the node's id (at most 95 bytes) or the path of the cache folder or of "
                       "sysfs (at most 255) is too long");
    }
    found->config.node = found->node;
    found->config.cache_dir = found->cache_dir;
    found->config.sysfs_root = found->sysfs_root;
    *ret_discovery = found;
    return SL_OK;
}

int sl_discover(const struct sl_discover_config *config, struct sl_discovery **ret_discovery,
                struct sl_error *err) {
    SL_AUTO(sl_discovery) found = NULL;
    struct first_call call = {0};
    pthread_t thread;
    int rc = create(config, &found, err);
    if (rc != SL_OK || !found) {
        return rc;
    }
    prepare_cache(found);
    call.found = found;
    if (pthread_create(&thread, NULL, first_call_main, &call) != 0) {
        return sl_fail(err, SL_NOMEM, "cannot start a thread to look for devices");
    }
    pthread_join(thread, NULL);
    if (call.status != SL_OK) {
        if (err) {
            *err = call.err;
        }
        return call.status;
    }
    sl_locality_describe(found);
    *ret_discovery = sl_take(&found);
    return SL_OK;
}

void sl_discovery_destroy(struct sl_discovery *discovery) {
    if (!discovery) {
        return;
    }
    for (uint32_t i = 0; i < discovery->count; i++) {
        if (discovery->devices[i].is_sub) {
            clReleaseDevice(discovery->devices[i].device);
        }
    }
    free(discovery);
}

uint32_t sl_discovery_count(const struct sl_discovery *discovery) {
    return discovery->count;
}

const struct sl_device_info *sl_discovery_info(const struct sl_discovery *discovery, uint32_t i) {
    sl_assert(i < discovery->count);
    return &discovery->devices[i].info;
}
