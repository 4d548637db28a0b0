/* SPDX-License-Identifier: Apache-2.0
 * A telemetry service over the fake NVML, and waiting for what it says. */
#ifndef SLUICE_TESTS_UNIT_AGENT_TELEMETRY_SENSORS_H
#define SLUICE_TESTS_UNIT_AGENT_TELEMETRY_SENSORS_H

#include "tests/unit/agent/telemetry/tree.h"

#include "agent/telemetry/telemetry.h"

#define UUID_HEX "0123456789abcdef0123456789abcdef"
#define UUID_GPU "GPU-01234567-89ab-cdef-0123-456789abcdef"
#define GPU_LINE "gpu pci=0000:01:00.0 uuid=" UUID_GPU " "

struct sensors {
    struct tree *tree; /* its root holds the fake's file, too */
    struct sl_telemetry *telemetry;
    struct sl_device_info infos[2];
    struct sl_msg_telemetry now;
};

static inline void sensors_say(struct sensors *s, const char *text) {
    char path[512];
    tree_write(s->tree, "nvml.txt", text);
    tree_path(s->tree, "nvml.txt", path);
    setenv("SLUICE_FAKE_NVML", path, 1);
}

static inline void sensors_init(struct sensors *s, void **state) {
    memset(s, 0, sizeof *s);
    s->tree = *state;
    for (int i = 0; i < 2; i++) {
        strcpy(s->infos[i].key, i ? "second" : "first");
        assert_true(sl_pci_parse(i ? "0000:41:00.0" : "0000:01:00.0", &s->infos[i].place.pci));
    }
    strcpy(s->infos[0].place.uuid, UUID_HEX);
}

static inline void sensors_open(struct sensors *s, const char *library, int64_t stale_ms) {
    const struct sl_device_info *infos[2] = {&s->infos[0], &s->infos[1]};
    struct sl_telemetry_config config = {
        .root = s->tree->root, .nvml_library = library, .interval_ms = 5, .stale_ms = stale_ms};
    struct sl_error err = {0};
    if (sl_telemetry_create(&config, infos, 2, &s->telemetry, &err)) {
        fail_msg("%s", err.text);
    }
}

static inline const struct sl_msg_telemetry *sensors_get(struct sensors *s, uint32_t device) {
    sl_telemetry_get(s->telemetry, device, &s->now);
    return &s->now;
}

static inline void sensors_close(struct sensors *s) {
    sl_telemetry_destroy(s->telemetry);
    s->telemetry = NULL;
}

/* Polls until a condition on `s->now` of the first device holds. */
#define SENSORS_WAIT(s, condition)                                                                 \
    do {                                                                                           \
        for (int tries_ = 0; sensors_get((s), 0), !(condition); tries_++) {                        \
            if (tries_ == 4000) {                                                                  \
                fail_msg("it never came to: %s (%s)", #condition, (s)->now.note);                  \
            }                                                                                      \
            usleep(2500);                                                                          \
        }                                                                                          \
    } while (0)

#define HAS(s, figure) sl_telemetry_has(&(s)->now, figure)
#define VALUE(s, figure) ((s)->now.figures[figure])

#endif
