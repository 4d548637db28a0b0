/* SPDX-License-Identifier: Apache-2.0
 * Inside of agent/telemetry: what a source of figures is, and where it puts them.
 *
 * The hub belongs to all threads that use it, each with one reference: the last to leave frees it,
 * so that a thread inside a driver that never returns keeps what it may still touch. */
#ifndef SLUICE_AGENT_TELEMETRY_SOURCE_H
#define SLUICE_AGENT_TELEMETRY_SOURCE_H

#include <pthread.h>
#include <stdatomic.h>

#include "agent/telemetry/telemetry.h"

#define SL_SOURCE_TEXT_MAX 256

/* One device, as sources see it. `info` never changes; the rest is under the hub's lock. */
struct sl_sensor_slot {
    struct sl_device_info info;
    struct sl_msg_telemetry newest; /* as the source read it, bounded */
    int64_t read_ns;                /* when; 0: never */
    uint64_t refused;
    int64_t ecc_last; /* uncorrected errors when last read; -1: never */
    uint64_t ecc_new;
    uint64_t xid_total;
    bool xids_known; /* the driver tells of them: none is then known to be none */
    uint32_t xid_count;
    uint16_t xids[SL_MSG_XIDS_MAX];
    int64_t xid_ns[SL_MSG_XIDS_MAX]; /* when each of them came */
    int64_t log_ns;                  /* beginning of the second whose log lines are counted */
    uint32_t log_count;
    int64_t thermal_ns, brake_ns; /* slowed since; 0: not */
};

struct sl_hub {
    pthread_mutex_t lock;
    atomic_uint references;
    atomic_bool closing;
    atomic_uint running;      /* threads that have not ended */
    atomic_bool nvml_hangs;   /* no GPU is read any more: calls do not come back */
    struct sl_mailbox *wake;  /* closed: end; nothing is ever put in */
    struct sl_mailbox *ended; /* one byte for each thread that has */
    char root[SL_SOURCE_TEXT_MAX];
    char nvml_library[SL_SOURCE_TEXT_MAX];
    int64_t interval_ms, stale_ms;
    uint32_t count;
    struct sl_sensor_slot slots[]; /* [count] */
};

void sl_hub_release(struct sl_hub *hub);
/* One more thread, detached, with a reference of its own: it may never come back. `arg` is not
 * freed. False: there is none. */
bool sl_hub_thread(struct sl_hub *hub, void *(*thread_main)(void *), void *arg);
/* Sleeps for a time; false: the hub is closing. */
bool sl_hub_sleep(struct sl_hub *hub, int64_t ms);
/* A reading of a device at `now`; takes what cannot be true out of it. */
void sl_hub_publish(struct sl_hub *hub, uint32_t device, struct sl_mono now,
                    const struct sl_msg_telemetry *reading);
/* The driver said that something went critically wrong. One fault may come with hundreds of others
 * behind it (each channel's work is removed): what is repeated within a minute makes room first, so
 * that the one that counts is still there when the next report leaves. False: there were so many
 * in this second that another line in the log tells nothing. */
bool sl_hub_xid(struct sl_hub *hub, uint32_t device, struct sl_mono now, uint32_t xid);
/* From now on the driver will say so. Until then their number is unknown. */
void sl_hub_xids_known(struct sl_hub *hub, uint32_t device);

/* ---- sysfs.c: short, bounded reads below one folder ---- */

/* FOLDER/NAME without its end of line. False: it is not there, is busy, gives an error, is empty
 * or longer than `size`. Never blocks longer than the kernel does. */
bool sl_sysfs_text(const char *folder, const char *name, char *out, size_t size);
/* A whole decimal number and nothing else. */
bool sl_sysfs_number(const char *folder, const char *name, int64_t *ret_value);
/* Up to `size` bytes as they are; -1: cannot be read. */
int sl_sysfs_bytes(const char *folder, const char *name, void *out, size_t size);
/* The number after `key` in a text of lines "key: number". */
bool sl_sysfs_field(const char *text, const char *key, int64_t *ret_value);
/* FOLDER/hwmon/hwmonN (the first; a device has one), and FOLDER/drm/cardN. */
bool sl_sysfs_child(const char *folder, const char *in, const char *prefix, char *out, size_t size);
struct sl_sysfs_heat {
    const char *label; /* the driver's own */
    enum sl_figure figure;
};
/* temp1_input and on, by their labels; temp1 without one is heat[0]. */
void sl_sysfs_temperatures(const char *hwmon, const struct sl_sysfs_heat *heat, size_t count,
                           struct sl_msg_telemetry *out);

/* ---- kernel.c: what the kernel shows in files, with a thread for each GPU ---- */

/* What is remembered of a device between two readings. */
struct sl_kernel_device {
    char folder[SL_SOURCE_TEXT_MAX]; /* of the PCI device; empty: not found */
    enum sl_telemetry_source source;
    int64_t energy_uj, energy_ns; /* when last read; ns 0: never */
    uint8_t energy_counter;       /* which one of the board's that was: 0 the first */
    uint32_t error_blocks;        /* of the chip that could be read at most */
};
/* Finds which driver serves the device: SL_TELEMETRY_NONE when none of ours. */
enum sl_telemetry_source sl_kernel_find(const char *root, const struct sl_device_info *info,
                                        struct sl_kernel_device *ret_device);
/* One reading; figures that cannot be read stay unknown. */
void sl_kernel_read(struct sl_kernel_device *device, struct sl_mono now,
                    struct sl_msg_telemetry *ret_reading);
/* Their parts. */
void sl_amdgpu_read(struct sl_kernel_device *device, const char *hwmon,
                    struct sl_msg_telemetry *out);
void sl_intel_read(struct sl_kernel_device *device, const char *hwmon, struct sl_mono now,
                   struct sl_msg_telemetry *out);
/* Takes a counter of microjoules, and says the mean power since the last time. */
void sl_kernel_energy(struct sl_kernel_device *device, struct sl_mono now, int64_t energy_uj,
                      struct sl_msg_telemetry *out);

/* The threads; each owns one reference of the hub. */
void *sl_kernel_main(void *hub);
void *sl_nvml_main(void *hub);

#endif
