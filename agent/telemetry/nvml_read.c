/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/telemetry/nvml_read.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/text.h"

#define UUID_TEXT 96
#define MIB (1ull << 20)

/* "GPU-01234567-89ab-cdef-0123-456789abcdef" to its 32 hex digits. False: another form (a part of
 * a GPU). */
static bool uuid_hex(const char *text, char ret_hex[SL_UUID_TEXT_MAX_HEX]) {
    size_t n = 0;
    if (strncmp(text, "GPU-", 4) != 0) {
        return false;
    }
    for (text += 4; *text; text++) {
        if (*text == '-') {
            continue;
        }
        if (!isxdigit((unsigned char)*text) || n == SL_UUID_TEXT_MAX_HEX - 1) {
            return false;
        }
        ret_hex[n++] = (char)tolower((unsigned char)*text);
    }
    ret_hex[n] = '\0';
    return n == SL_UUID_TEXT_MAX_HEX - 1;
}

static bool same_uuid(const struct nvml_api *api, void *handle, const char *wanted) {
    char text[UUID_TEXT] = "";
    char hex[SL_UUID_TEXT_MAX_HEX];
    if (!wanted[0] || !api->uuid || api->uuid(handle, text, sizeof text) != NVML_OK) {
        return true; /* nothing speaks against it */
    }
    text[sizeof text - 1] = '\0';
    return !uuid_hex(text, hex) || strcmp(hex, wanted) == 0;
}

static void *find_by_uuid(const struct nvml_api *api, const char *hex, int *ret_answer) {
    char text[UUID_TEXT];
    void *handle = NULL;
    *ret_answer = NVML_NOT_FOUND;
    if (!api->by_uuid || strlen(hex) != 32) {
        return NULL;
    }
    snprintf(text, sizeof text, "GPU-%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
             hex + 20);
    *ret_answer = api->by_uuid(text, &handle);
    return *ret_answer == NVML_OK ? handle : NULL;
}

void *sl_nvml_find(const struct nvml_api *api, const struct sl_device_info *info, int *ret_answer) {
    const struct sl_pci_place *pci = &info->place.pci;
    if (!pci->known || !api->by_pci) {
        return find_by_uuid(api, info->place.uuid, ret_answer);
    }
    char text[40];
    void *handle = NULL;
    snprintf(text, sizeof text, "%08x:%02x:%02x.%u", pci->domain, pci->bus, pci->device,
             pci->function);
    *ret_answer = api->by_pci(text, &handle);
    if (*ret_answer == NVML_OK && (!handle || !same_uuid(api, handle, info->place.uuid))) {
        *ret_answer = NVML_NOT_FOUND;
    }
    return *ret_answer == NVML_OK ? handle : NULL;
}

const char *sl_nvml_trouble(int answer, const char *otherwise) {
    switch (answer) {
    case NVML_DRIVER_NOT_LOADED:
    case NVML_UNINITIALIZED: /* what is left of a driver that was unloaded */
        return "NVIDIA's driver is not loaded";
    case NVML_NO_PERMISSION:
    case NVML_OPERATING_SYSTEM:
        return "NVML may not be used by this user or control group";
    case NVML_VERSION_MISMATCH:
        return "NVIDIA's driver was replaced while it ran: load it anew, then restart the agent";
    default:
        return otherwise;
    }
}

/* ---- reading ---- */

struct reading {
    const struct nvml_api *api;
    void *handle;
    struct sl_msg_telemetry *out;
    int power;       /* what the library answered about it */
    int worst;       /* of LOST, RESET_REQUIRED and VERSION_MISMATCH; 0: none */
    unsigned action; /* that the driver asks for; 0: none, or not known */
};

/* True when a call was good; remembers what concerns the whole GPU. */
static bool good(struct reading *r, int rc) {
    if (rc == NVML_GPU_IS_LOST || rc == NVML_VERSION_MISMATCH ||
        (rc == NVML_RESET_REQUIRED && r->worst == 0)) {
        r->worst = rc;
    }
    return rc == NVML_OK;
}

static void read_power(struct reading *r) {
    const struct nvml_api *api = r->api;
    unsigned mw = 0;
    unsigned long long mj = 0;
    r->power = api->power ? api->power(r->handle, &mw) : NVML_NOT_SUPPORTED;
    if (good(r, r->power)) {
        /* A negative figure of a broken sensor arrives as a huge one: taken as it is, refused. */
        sl_telemetry_set(r->out, SL_FIG_POWER_MW, mw);
    }
    if (api->power_limit && good(r, api->power_limit(r->handle, &mw))) {
        sl_telemetry_set(r->out, SL_FIG_POWER_LIMIT_MW, mw);
    }
    if (api->energy && good(r, api->energy(r->handle, &mj)) && mj <= INT64_MAX) {
        sl_telemetry_set(r->out, SL_FIG_ENERGY_MJ, (int64_t)mj);
    }
}

static void read_heat(struct reading *r) {
    const struct nvml_api *api = r->api;
    struct nvml_temperature t = {.version = NVML_TEMPERATURE_VERSION};
    struct nvml_field field = {.id = NVML_FIELD_MEMORY_TEMP};
    unsigned celsius = 0;
    unsigned percent = 0;
    if (api->temperature_v && good(r, api->temperature_v(r->handle, &t))) {
        sl_telemetry_set(r->out, SL_FIG_TEMP_MC, (int64_t)t.celsius * 1000);
    } else if (api->temperature && good(r, api->temperature(r->handle, 0, &celsius))) {
        sl_telemetry_set(r->out, SL_FIG_TEMP_MC, (int64_t)celsius * 1000);
    }
    if (api->fields && good(r, api->fields(r->handle, 1, &field)) && field.rc == NVML_OK &&
        field.value_type == 1 && field.value.ui > 0) {
        sl_telemetry_set(r->out, SL_FIG_TEMP_MEMORY_MC, (int64_t)field.value.ui * 1000);
    }
    if (api->fan && good(r, api->fan(r->handle, &percent))) {
        sl_telemetry_set(r->out, SL_FIG_FAN_PPT, (int64_t)percent * 10);
    }
}

static void read_load(struct reading *r) {
    const struct nvml_api *api = r->api;
    unsigned mhz = 0;
    struct nvml_utilization use;
    struct nvml_memory_v2 m2 = {.version = NVML_MEMORY_VERSION};
    struct nvml_memory m1 = {0};
    if (api->clock && good(r, api->clock(r->handle, 1, &mhz))) {
        sl_telemetry_set(r->out, SL_FIG_CLOCK_MHZ, mhz);
    }
    if (api->clock && good(r, api->clock(r->handle, 2, &mhz))) {
        sl_telemetry_set(r->out, SL_FIG_CLOCK_MEMORY_MHZ, mhz);
    }
    if (api->utilization && good(r, api->utilization(r->handle, &use))) {
        sl_telemetry_set(r->out, SL_FIG_BUSY_PPT, (int64_t)use.gpu * 10);
    }
    if (api->memory_v2 && good(r, api->memory_v2(r->handle, &m2))) {
        m1.total = m2.total;
        m1.used = m2.used;
    } else if (!api->memory || !good(r, api->memory(r->handle, &m1))) {
        return;
    }
    sl_telemetry_set(r->out, SL_FIG_MEMORY_TOTAL_MIB, (int64_t)(m1.total / MIB));
    sl_telemetry_set(r->out, SL_FIG_MEMORY_USED_MIB, (int64_t)(m1.used / MIB));
}

static void read_throttle(struct reading *r) {
    static const struct {
        unsigned long long reason;
        int64_t bit;
    } table[] = {{NVML_REASON_POWER_CAP, SL_THROTTLE_POWER_CAP},
                 {NVML_REASON_HW_SLOWDOWN, SL_THROTTLE_HARDWARE},
                 {NVML_REASON_SW_THERMAL, SL_THROTTLE_THERMAL},
                 {NVML_REASON_HW_THERMAL, SL_THROTTLE_THERMAL},
                 {NVML_REASON_POWER_BRAKE, SL_THROTTLE_BRAKE}};
    unsigned long long reasons = 0;
    int64_t bits = 0;
    if (!r->api->reasons || !good(r, r->api->reasons(r->handle, &reasons))) {
        return;
    }
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bits |= reasons & table[i].reason ? table[i].bit : 0;
    }
    sl_telemetry_set(r->out, SL_FIG_THROTTLE, bits);
}

static void read_errors(struct reading *r) {
    const struct nvml_api *api = r->api;
    unsigned long long count = 0;
    unsigned corrected = 0, uncorrected = 0, pending = 0, failed = 0, replays = 0;
    int pages_pending = 0;
    struct nvml_field action = {.id = NVML_FIELD_RECOVERY_ACTION};
    /* Volatile counts: since the driver was loaded. */
    if (api->ecc && good(r, api->ecc(r->handle, 0, 0, &count))) {
        sl_telemetry_set(r->out, SL_FIG_ECC_CORRECTED, (int64_t)(count & INT64_MAX));
    }
    if (api->ecc && good(r, api->ecc(r->handle, 1, 0, &count))) {
        sl_telemetry_set(r->out, SL_FIG_ECC_UNCORRECTED, (int64_t)(count & INT64_MAX));
    }
    if (api->remapped &&
        good(r, api->remapped(r->handle, &corrected, &uncorrected, &pending, &failed))) {
        sl_telemetry_set(r->out, SL_FIG_REMAP_PENDING, pending != 0);
        sl_telemetry_set(r->out, SL_FIG_REMAP_FAILED, failed != 0);
    } else if (api->retired_pending && good(r, api->retired_pending(r->handle, &pages_pending))) {
        /* What cannot remap rows retires pages instead, with the next load of the driver. */
        sl_telemetry_set(r->out, SL_FIG_REMAP_PENDING, pages_pending != 0);
    }
    if (api->fields && good(r, api->fields(r->handle, 1, &action)) && action.rc == NVML_OK &&
        action.value_type == 1) {
        r->action = action.value.ui;
    }
    if (api->replays && good(r, api->replays(r->handle, &replays))) {
        sl_telemetry_set(r->out, SL_FIG_PCIE_REPLAYS, replays);
    }
}

/* What the driver asks for: nvmlDeviceGpuRecoveryAction_t, by NVIDIA's nvml.h. */
static void say_action(unsigned action, struct sl_msg_telemetry *out) {
    static const char *const texts[] = {
        "",
        "the driver wants the GPU reset",
        "the driver wants the node rebooted",
        "the driver wants traffic between GPUs ended (drain P2P), then a reset",
        "the driver wants the GPU drained and reset",
    };
    if (action < sizeof texts / sizeof texts[0]) {
        sl_text_copy(out->note, sizeof out->note, texts[action]);
    } else {
        snprintf(out->note, sizeof out->note, "the driver asks for recovery action %u", action);
    }
}

/* Power is what costs: where there is none, the operator is told why. */
static void say_power(int answer, struct sl_msg_telemetry *out) {
    if (answer == NVML_OK || out->note[0]) {
        return;
    }
    if (answer == NVML_NOT_SUPPORTED) {
        sl_text_copy(out->note, sizeof out->note, "its driver does not say its power");
        return;
    }
    char text[SL_MSG_NOTE_MAX];
    snprintf(text, sizeof text, "NVML does not say its power (error %d)", answer);
    sl_text_copy(out->note, sizeof out->note, sl_nvml_trouble(answer, text));
}

/* Where the GPU of this UUID is now; it may have come back on another bus. */
static void say_where(const struct nvml_api *api, const struct sl_device_info *info,
                      struct sl_msg_telemetry *out) {
    struct nvml_pci pci = {0};
    int answer = NVML_OK;
    void *handle = find_by_uuid(api, info->place.uuid, &answer);
    const struct sl_pci_place *was = &info->place.pci;
    if (handle && api->pci && api->pci(handle, &pci) == NVML_OK &&
        (pci.domain != was->domain || pci.bus != was->bus || pci.device != was->device)) {
        snprintf(out->note, sizeof out->note,
                 "fell off its bus and is back at %04x:%02x:%02x.0: restart the agent",
                 pci.domain & 0xffff, pci.bus & 0xff, pci.device & 0x1f);
    } else {
        sl_text_copy(out->note, sizeof out->note, "the GPU has fallen off its bus");
    }
}

bool sl_nvml_read(const struct nvml_api *api, const struct sl_device_info *info,
                  struct sl_nvml_gpu *gpu, struct sl_msg_telemetry *ret_reading) {
    struct sl_msg_telemetry out = {.source = SL_TELEMETRY_NVML};
    struct reading r = {.api = api, .handle = gpu->handle, .out = &out};
    bool lost = !gpu->handle;
    gpu->mismatch = false;
    if (gpu->handle) {
        read_power(&r);
        read_heat(&r);
        read_load(&r);
        read_throttle(&r);
        read_errors(&r);
    }
    lost = lost || r.worst == NVML_GPU_IS_LOST;
    if (lost) {
        out = (struct sl_msg_telemetry){.source = SL_TELEMETRY_NVML};
        sl_telemetry_set(&out, SL_FIG_LOST, 1);
        say_where(api, info, &out);
    } else if (r.worst == NVML_VERSION_MISMATCH) {
        gpu->mismatch = true;
    } else {
        sl_telemetry_set(&out, SL_FIG_LOST, 0);
        sl_telemetry_set(&out, SL_FIG_RESET_NEEDED,
                         r.worst == NVML_RESET_REQUIRED || r.action != 0);
        say_action(r.action == 0 && r.worst == NVML_RESET_REQUIRED ? 1 : r.action, &out);
        say_power(r.power, &out);
    }
    *ret_reading = out;
    return !lost;
}
