/* SPDX-License-Identifier: Apache-2.0
 * Who a device is, whatever order drivers list devices in. PCI place by cl_khr_pci_bus_info, else
 * AMD's topology, else NVIDIA's attributes; UUID by cl_khr_device_uuid, else what the kernel says
 * of the board. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "agent/device/board.h"
#include "agent/device/discover_internal.h"
#include "proto/base/text.h"

/* From the Khronos registry; spelled out, since headers of older systems lack some of them. */
#define DEVICE_PCI_BUS_INFO_KHR 0x410F
#define DEVICE_UUID_KHR 0x106A
#define DEVICE_TOPOLOGY_AMD 0x4037
#define DEVICE_PCI_BUS_ID_NV 0x4008
#define DEVICE_PCI_SLOT_ID_NV 0x4009
#define DEVICE_PCI_DOMAIN_ID_NV 0x400A
#define TOPOLOGY_TYPE_PCIE_AMD 1
#define UUID_BYTES 16

struct khr_pci_info {
    cl_uint domain, bus, device, function;
};

/* AMD's union is 24 bytes: a type, then five unused or 17 unused bytes, then signed characters. */
struct amd_topology {
    cl_uint type;
    cl_char unused[17];
    cl_char bus, device, function;
};

static bool read_khr(cl_device_id id, struct sl_pci_place *place) {
    struct khr_pci_info info;
    if (clGetDeviceInfo(id, DEVICE_PCI_BUS_INFO_KHR, sizeof info, &info, NULL) != CL_SUCCESS) {
        return false;
    }
    *place = (struct sl_pci_place){true, info.domain, info.bus, info.device, info.function};
    return true;
}

static bool read_amd(cl_device_id id, struct sl_pci_place *place) {
    struct amd_topology t;
    memset(&t, 0, sizeof t);
    if (clGetDeviceInfo(id, DEVICE_TOPOLOGY_AMD, sizeof t, &t, NULL) != CL_SUCCESS ||
        t.type != TOPOLOGY_TYPE_PCIE_AMD) {
        return false;
    }
    *place = (struct sl_pci_place){true, 0, (uint8_t)t.bus, (uint8_t)t.device, (uint8_t)t.function};
    return true;
}

static bool read_nvidia(cl_device_id id, struct sl_pci_place *place) {
    cl_uint bus = 0;
    cl_uint slot = 0;
    cl_uint domain = 0;
    if (clGetDeviceInfo(id, DEVICE_PCI_BUS_ID_NV, sizeof bus, &bus, NULL) != CL_SUCCESS ||
        clGetDeviceInfo(id, DEVICE_PCI_SLOT_ID_NV, sizeof slot, &slot, NULL) != CL_SUCCESS) {
        return false;
    }
    /* Older drivers do not know the domain; they are on domain 0 in practice. */
    clGetDeviceInfo(id, DEVICE_PCI_DOMAIN_ID_NV, sizeof domain, &domain, NULL);
    *place = (struct sl_pci_place){true, domain, bus, slot >> 3, slot & 7};
    return true;
}

static bool has_extension(cl_device_id id, const char *name) {
    char text[8192];
    sl_cl_device_text(id, CL_DEVICE_EXTENSIONS, text, sizeof text);
    size_t n = strlen(name);
    for (const char *at = text; (at = strstr(at, name)); at += n) {
        if ((at == text || at[-1] == ' ') && (at[n] == '\0' || at[n] == ' ')) {
            return true;
        }
    }
    return false;
}

/* "Portable Computing Language" becomes "pocl", others their first word in lower case. */
static void platform_word(const char *platform, char *out, size_t out_size) {
    if (strstr(platform, "Portable Computing Language")) {
        sl_text_copy(out, out_size, "pocl");
        return;
    }
    size_t n = 0;
    for (const char *at = platform; *at && n + 1 < out_size; at++) {
        if (isalnum((unsigned char)*at)) {
            out[n++] = (char)tolower((unsigned char)*at);
        } else if (n > 0) {
            break;
        }
    }
    if (n == 0 && out_size > 3) {
        memcpy(out, "ocl", 3);
        n = 3;
    }
    out[n] = '\0';
}

void sl_identity_key(const struct sl_discovered *d, const char *node, const char *platform,
                     uint32_t ordinal, char ret_key[SL_DEVICE_TEXT_MAX]) {
    char word[24];
    platform_word(platform, word, sizeof word);
    if (d->info.is_cpu) {
        snprintf(ret_key, SL_DEVICE_TEXT_MAX, "%.60s/%s/%u", node, word, d->sub_index);
    } else if (d->info.place.pci.known) {
        sl_pci_key(&d->info.place, node, ret_key, SL_DEVICE_TEXT_MAX);
    } else if (d->info.place.uuid[0]) {
        snprintf(ret_key, SL_DEVICE_TEXT_MAX, "uuid:%s", d->info.place.uuid);
    } else {
        snprintf(ret_key, SL_DEVICE_TEXT_MAX, "%.60s/%s/gpu%u", node, word, ordinal);
    }
}

void sl_identity_read(struct sl_discovered *d, const char *node, const char *sysfs_root,
                      uint32_t ordinal) {
    static const uint8_t no_uuid[UUID_BYTES];
    uint8_t uuid[UUID_BYTES];
    bool has_uuid = false;
    if (!d->info.is_cpu) {
        if (!read_khr(d->device, &d->info.place.pci) && !read_amd(d->device, &d->info.place.pci)) {
            read_nvidia(d->device, &d->info.place.pci);
        }
        has_uuid =
            has_extension(d->device, "cl_khr_device_uuid") &&
            clGetDeviceInfo(d->device, DEVICE_UUID_KHR, sizeof uuid, uuid, NULL) == CL_SUCCESS &&
            memcmp(uuid, no_uuid, sizeof uuid) != 0; /* a driver that only says that it has one */
    }
    if (has_uuid) {
        sl_hex_encode(uuid, UUID_BYTES, d->info.place.uuid);
    } else {
        sl_board_read(sysfs_root, &d->info.place.pci, d->info.place.uuid, d->info.place.model);
    }
    d->info.place.part = d->sub_count > 1;
    sl_identity_key(d, node, d->info.platform, ordinal, d->info.key);
}
