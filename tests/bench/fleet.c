/* SPDX-License-Identifier: Apache-2.0
 * A fleet of simulated agents over real CURVE sockets, for tests/bench/ingest, large and day.
 *
 *   fleet keys N ALLOWED SECRETS      makes key pairs: public ones, a line each, and all
 *   fleet sink ENDPOINT SECRET_KEY    the bare receiver; "time_ns reports devices" every 100 ms
 *   fleet floor ENDPOINT SECRET_KEY DEVICES [plain]   the bare receiver, for its memory
 *   fleet run ENDPOINT SERVER_KEY SECRETS AGENTS DEVICES REPORT_MS [PREFIX [deaf]]
 *
 * `run` reads orders from its standard input, one a line: "storm" (all leave and come back at
 * once), "flap P" (each second P % leave for 0.2 s; 0: no more), "mark N" (hashes_total of every
 * device in all further reports), "claim A" (shares for more than agent A can have hashed), "chat
 * N" (each sends N small messages that are answered), "count" (a line of figures), "quit". */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/base/clock.h"
#include "tests/bench/fleet.h"

#define IDLE_US 2000
#define AWAY_NS (200 * SL_NS_PER_MS)

static int make_keys(uint32_t count, const char *allowed_path, const char *secrets_path) {
    FILE *allowed = fopen(allowed_path, "w");
    FILE *secrets = fopen(secrets_path, "w");
    struct sl_error err;
    for (uint32_t i = 0; allowed && secrets && i < count; i++) {
        struct sl_link_keys keys;
        if (sl_link_keys_generate(&keys, &err)) {
            fprintf(stderr, "fleet: %s\n", err.text);
            return 1;
        }
        fprintf(allowed, "%s\n", keys.public_key);
        fprintf(secrets, "%s %s\n", keys.public_key, keys.secret_key);
    }
    if (!allowed || !secrets || fclose(allowed) != 0 || fclose(secrets) != 0) {
        fprintf(stderr, "fleet: cannot write %s or %s\n", allowed_path, secrets_path);
        return 1;
    }
    return 0;
}

static int read_keys(struct fleet *f, const char *path) {
    FILE *file = fopen(path, "r");
    uint32_t i = 0;
    while (file && i < f->config.agents &&
           fscanf(file, "%40s %40s", f->agents[i].keys.public_key, f->agents[i].keys.secret_key) ==
               2) {
        i++;
    }
    if (file) {
        fclose(file);
    }
    if (i < f->config.agents) {
        fprintf(stderr, "fleet: %s has keys for %u of %u agents\n", path, i, f->config.agents);
        return 1;
    }
    return 0;
}

static int fleet_create(struct fleet *f, const char *secrets_path) {
    f->context = zmq_ctx_new();
    f->random = 20261128;
    f->agents = calloc(f->config.agents, sizeof *f->agents);
    f->scratch = calloc(FLEET_DEVICES_MAX, sizeof *f->scratch);
    if (!f->context || !f->agents || !f->scratch ||
        zmq_ctx_set(f->context, ZMQ_MAX_SOCKETS, (int)f->config.agents * 2 + 64) != 0 ||
        sl_msg_arena_create(SL_MSG_ARENA_BYTES, &f->arena, NULL) != SL_OK) {
        fprintf(stderr, "fleet: no memory\n");
        return 1;
    }
    for (uint32_t i = 0; i < f->config.agents; i++) {
        struct fleet_agent *a = &f->agents[i];
        a->boot_id = 1 + (uint64_t)i + ((uint64_t)getpid() << 32);
        for (uint32_t d = 0; d < f->config.devices; d++) {
            a->devices[d].mode = SL_MODE_HASH;
        }
    }
    return read_keys(f, secrets_path);
}

static uint32_t count_live(const struct fleet *f) {
    uint32_t live = 0;
    for (uint32_t i = 0; i < f->config.agents; i++) {
        live += f->agents[i].live;
    }
    return live;
}

static void flap(struct fleet *f, int64_t now_ns) {
    if (f->flap_percent == 0 || now_ns < f->flap_ns) {
        return;
    }
    f->flap_ns = now_ns + SL_NS_PER_S;
    for (uint32_t n = f->config.agents * f->flap_percent / 100; n > 0; n--) {
        fleet_agent_leave(f, (uint32_t)(fleet_random(f) % f->config.agents), now_ns + AWAY_NS);
    }
}

static void count(const struct fleet *f) {
    printf("{\"live\": %u, \"sent\": %llu, \"received\": %llu, \"directives\": %llu, \"refused\": "
           "%llu, \"lines\": %llu}\n",
           count_live(f), (unsigned long long)f->sent, (unsigned long long)f->received,
           (unsigned long long)f->directives, (unsigned long long)f->refused,
           (unsigned long long)f->results);
    fflush(stdout);
}

/* False: quit. */
static bool carry_out(struct fleet *f, const char *order, int64_t now_ns) {
    unsigned long long n = 0;
    if (strcmp(order, "storm") == 0) {
        for (uint32_t i = 0; i < f->config.agents; i++) {
            fleet_agent_leave(f, i, now_ns);
        }
    } else if (sscanf(order, "flap %llu", &n) == 1) {
        f->flap_percent = (uint32_t)(n > 100 ? 100 : n);
    } else if (sscanf(order, "mark %llu", &n) == 1) {
        f->mark = n;
    } else if (sscanf(order, "claim %llu", &n) == 1 && n < f->config.agents) {
        fleet_agent_claim(f, (uint32_t)n);
    } else if (sscanf(order, "chat %llu", &n) == 1) {
        for (uint32_t i = 0; i < f->config.agents; i++) {
            fleet_agent_chat(f, i, (uint32_t)n);
        }
    } else if (strcmp(order, "count") == 0) {
        count(f);
    }
    return strcmp(order, "quit") != 0;
}

/* Orders that have come; false at the end of input too. */
static bool read_orders(struct fleet *f, struct sl_buf *in, int64_t now_ns) {
    char bytes[256];
    ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        return false;
    }
    sl_buf_append(in, bytes, n > 0 ? (size_t)n : 0);
    char *end = NULL;
    while (in->data && (end = memchr(in->data, '\n', in->len)) != NULL) {
        *end = '\0';
        if (!carry_out(f, in->data, now_ns)) {
            return false;
        }
        sl_buf_consume(in, (size_t)(end - in->data) + 1);
    }
    return true;
}

static int run(struct fleet *f) {
    SL_AUTO_BUF struct sl_buf in = {0};
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    int64_t read_ns = 0;
    for (;;) {
        int64_t now_ns = sl_clock_mono().ns;
        bool any = false;
        for (uint32_t i = 0; i < f->config.agents; i++) {
            any |= fleet_agent_turn(f, i, now_ns);
        }
        flap(f, now_ns);
        if (now_ns - read_ns > 10 * SL_NS_PER_MS) {
            read_ns = now_ns;
            if (!read_orders(f, &in, now_ns)) {
                count(f);
                return 0;
            }
        }
        if (!any) {
            usleep(IDLE_US);
        }
    }
}

static int usage(void) {
    fprintf(stderr, "usage: fleet keys N ALLOWED SECRETS | fleet sink ENDPOINT SECRET_KEY |\n"
                    "       fleet floor ENDPOINT SECRET_KEY DEVICES [plain] |\n"
                    "       fleet run ENDPOINT SERVER_KEY SECRETS AGENTS DEVICES REPORT_MS "
                    "[PREFIX [deaf]]\n");
    return 2;
}

int main(int argc, char **argv) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (argc == 5 && strcmp(argv[1], "keys") == 0) {
        return make_keys((uint32_t)strtoul(argv[2], NULL, 10), argv[3], argv[4]);
    }
    if (argc == 4 && strcmp(argv[1], "sink") == 0) {
        return fleet_sink(argv[2], argv[3]);
    }
    if ((argc == 5 || argc == 6) && strcmp(argv[1], "floor") == 0) {
        bool plain = argc == 6 && strcmp(argv[5], "plain") == 0;
        return fleet_floor(argv[2], argv[3], (uint32_t)strtoul(argv[4], NULL, 10), plain);
    }
    if (argc < 8 || strcmp(argv[1], "run") != 0) {
        return usage();
    }
    struct fleet f = {.config = {.endpoint = argv[2],
                                 .server_key = argv[3],
                                 .agents = (uint32_t)strtoul(argv[5], NULL, 10),
                                 .devices = (uint32_t)strtoul(argv[6], NULL, 10),
                                 .report_ms = strtol(argv[7], NULL, 10),
                                 .prefix = argc > 8 ? argv[8] : "node",
                                 .deaf = argc > 9 && strcmp(argv[9], "deaf") == 0}};
    if (f.config.agents == 0 || f.config.devices == 0 || f.config.devices > FLEET_DEVICES_MAX) {
        return usage();
    }
    int code = fleet_create(&f, argv[4]);
    return code ? code : run(&f);
}
