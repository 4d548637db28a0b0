/* SPDX-License-Identifier: Apache-2.0
 * An authentication request of ZeroMQ (ZAP), frame by frame as the handler gets it. Input: for each
 * frame its size (two bytes), then its bytes. Who comes in said version, domain and mechanism right
 * and shows a key of the file; what is answered about others says nothing about the file. */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/link/zap.h"

#define DOMAIN "sluice"

static char path[64];

static void remove_file(void) {
    unlink(path);
}

/* A file that changed long ago, so that it is not read again for each request. */
static struct sl_allow *make_allow(char keys[2][SL_LINK_KEY_MAX]) {
    const struct timespec old[2] = {{1767225600, 0}, {1767225600, 0}};
    struct sl_allow *allow = NULL;
    uint8_t raw[32];
    for (int i = 0; i < 2; i++) {
        for (size_t at = 0; at < sizeof raw; at++) {
            raw[at] = (uint8_t)('a' + i); /* as in the corpus */
        }
        fuzz_check(zmq_z85_encode(keys[i], raw, sizeof raw));
    }
    snprintf(path, sizeof path, "/dev/shm/sluice-fuzz-zap-%d", (int)getpid());
    atexit(remove_file);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    fuzz_check(fd >= 0 && dprintf(fd, "%s\n%s # second\n", keys[0], keys[1]) > 0);
    fuzz_check(futimens(fd, old) == 0 && close(fd) == 0);
    fuzz_check(sl_allow_create(path, &allow, NULL) == SL_OK);
    return allow;
}

static int take_frames(struct fuzz_input *in, struct sl_zap_frame frames[SL_ZAP_FRAMES]) {
    int count = 0;
    memset(frames, 0, SL_ZAP_FRAMES * sizeof *frames);
    for (; in->left > 0 && count < 64; count++) {
        size_t wanted = fuzz_u16(in) % 1024;
        size_t got = 0;
        const uint8_t *bytes = fuzz_bytes(in, wanted, &got);
        if (count < SL_ZAP_FRAMES) {
            size_t kept = got < SL_ZAP_FRAME_MAX ? got : SL_ZAP_FRAME_MAX;
            frames[count].size = got;
            if (kept > 0) {
                memcpy(frames[count].data, bytes, kept);
            }
        }
    }
    return count;
}

static bool says(const struct sl_zap_frame *frame, const char *text) {
    return frame->size == strlen(text) && strncmp(frame->data, text, frame->size) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct sl_allow *allow;
    static char keys[2][SL_LINK_KEY_MAX];
    struct sl_zap_frame frames[SL_ZAP_FRAMES];
    struct sl_zap_answer answer;
    struct fuzz_input in = {data, size};
    allow = allow ? allow : make_allow(keys);
    int count = take_frames(&in, frames);
    memset(&answer, 0x5A, sizeof answer);
    sl_zap_judge(allow, DOMAIN, frames, count, &answer);
    bool good = count == SL_ZAP_FRAMES && says(&frames[SL_ZAP_VERSION], "1.0") &&
                says(&frames[SL_ZAP_DOMAIN], DOMAIN) && says(&frames[SL_ZAP_MECHANISM], "CURVE") &&
                frames[SL_ZAP_KEY].size == 32;
    bool known = good && (strcmp(answer.user, keys[0]) == 0 || strcmp(answer.user, keys[1]) == 0);
    fuzz_check(strlen(answer.user) == (good ? SL_LINK_KEY_MAX - 1 : 0));
    fuzz_check((strcmp(answer.status, "200") == 0) == known);
    fuzz_check(known || strcmp(answer.status, count == SL_ZAP_FRAMES ? "300" : "500") == 0);
    if (good) {
        uint8_t raw[32];
        fuzz_check(zmq_z85_decode(raw, answer.user));
        fuzz_check(memcmp(raw, frames[SL_ZAP_KEY].data, sizeof raw) == 0);
    }
    return 0;
}
