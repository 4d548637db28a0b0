/* SPDX-License-Identifier: Apache-2.0
 * The key is made and durable before the token is presented with it, so that the same command can
 * be given again after any interruption: the broker knows the key that used the token. */
#include "agent/shell/join.h"

#include <getopt.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/device/discover.h"
#include "agent/shell/config.h"
#include "agent/shell/join_config.h"
#include "proto/base/clock.h"
#include "proto/base/text.h"
#include "proto/link/join.h"
#include "proto/link/token.h"
#include "proto/wire/join.h"

#define EXCHANGE_MS 8000
#define ATTEMPTS 4
#define POLL_S 2

const char sl_join_usage[] =
    "Usage: sluice-agent join TOKEN|FILE|- [--config FILE] [--key-file FILE] [--wait]\n"
    "                         [--replace] [--no-inventory]\n"
    "\n"
    "Joins the site that the one-time token names (`sluice agents enroll NAME` there): makes this\n"
    "node's key, presents token and key, and puts the broker into the configuration.\n"
    "\n"
    "  TOKEN            the token itself: others on this machine can see it while this runs\n"
    "  FILE, -          a file that holds it, or standard input: nobody sees it\n"
    "  --config FILE    its broker section is written (the rest stays); without it the section is\n"
    "                   printed\n"
    "  --key-file FILE  where the key is, or is made, mode 0600, never overwritten; else\n"
    "                   broker.key_file of the configuration, data_dir/agent.key, ./agent.key\n"
    "  --wait           until an operator has approved or rejected this node\n"
    "  --replace        although the configuration names another broker\n"
    "  --no-inventory   tell the broker nothing of the devices here\n";

struct join {
    const char *source; /* TOKEN, FILE or - */
    const char *config_path;
    const char *key_option;
    bool wait, replace, no_inventory;
    struct sl_token token;
    struct sl_join_facts facts;
    bool has_config;
    char key_file[256];
    struct sl_link_keys keys;
    bool key_made; /* by this run, and nobody was told of it */
    struct sl_join_reply reply;
};

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, struct join *join) {
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},
        {"key-file", required_argument, NULL, 'k'},
        {"wait", no_argument, NULL, 'w'},
        {"replace", no_argument, NULL, 'r'},
        {"no-inventory", no_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int c;
    while ((c = getopt_long(argc - 1, argv + 1, "", longs, NULL)) != -1) {
        switch (c) {
        case 'c':
            join->config_path = optarg;
            break;
        case 'k':
            join->key_option = optarg;
            break;
        case 'w':
            join->wait = true;
            break;
        case 'r':
            join->replace = true;
            break;
        case 'n':
            join->no_inventory = true;
            break;
        case 'h':
            fputs(sl_join_usage, stdout);
            return 0;
        default:
            fputs(sl_join_usage, stderr);
            return 2;
        }
    }
    if (optind != argc - 2) {
        fprintf(stderr, "sluice-agent join: give one token, a file that holds it, or -\n\n%s",
                sl_join_usage);
        return 2;
    }
    join->source = argv[1 + optind];
    return -1;
}

static int read_stream(FILE *file, const char *name, char *text, size_t size,
                       struct sl_error *err) {
    size_t n = fread(text, 1, size - 1, file);
    text[n] = '\0';
    if (ferror(file)) {
        return sl_fail_errno(err, "cannot read the token from %s", name);
    }
    if (n == size - 1 || strlen(text) != n) {
        return sl_fail(err, SL_INVALID, "%s holds more than a token", name);
    }
    return SL_OK;
}

static int read_token(struct join *join, struct sl_error *err) {
    char text[2 * SL_TOKEN_TEXT_MAX];
    int rc = SL_OK;
    if (strcmp(join->source, "-") == 0) {
        rc = read_stream(stdin, "standard input", text, sizeof text, err);
    } else if (strncmp(join->source, "slj", 3) == 0) {
        rc = sl_text_copy(text, sizeof text, join->source)
                 ? SL_OK
                 : sl_fail(err, SL_INVALID, "this is too long for a token");
    } else {
        SL_AUTO_FILE FILE *file = fopen(join->source, "re");
        rc = file ? read_stream(file, join->source, text, sizeof text, err)
                  : sl_fail_errno(err, "cannot read the token from %.100s", join->source);
    }
    rc = rc ? rc : sl_token_parse(text, &join->token, err);
    explicit_bzero(text, sizeof text);
    return rc;
}

static int read_config(struct join *join, struct sl_error *err) {
    SL_AUTO_BUF struct sl_buf text = {0};
    if (join->config_path) {
        int rc = sl_join_config_load(join->config_path, &text, err);
        if (rc) {
            return rc;
        }
        join->has_config = true;
    }
    sl_join_facts_read(text.data ? text.data : "", &join->facts);
    const struct sl_join_facts *facts = &join->facts;
    if (facts->node[0] && strcmp(facts->node, join->token.name) != 0) {
        return sl_fail(err, SL_INVALID,
                       "the token is for the node %s, but %s says `node: %s`; nothing was sent. "
                       "Have a token made for this name, or change the file",
                       join->token.name, join->config_path, facts->node);
    }
    if (join->key_option) {
        sl_text_copy(join->key_file, sizeof join->key_file, join->key_option);
    } else if (facts->key_file[0]) {
        sl_text_copy(join->key_file, sizeof join->key_file, facts->key_file);
    } else {
        snprintf(join->key_file, sizeof join->key_file, "%s%sagent.key", facts->data_dir,
                 facts->data_dir[0] ? "/" : "");
    }
    bool other = facts->server_key[0] && strcmp(facts->server_key, join->token.server_key) != 0;
    if (other && !join->replace && access(join->key_file, F_OK) == 0) {
        return sl_fail(err, SL_DENIED,
                       "the token is for another site: %s names the broker %s, the token %s; "
                       "nothing was sent. To move this node there, say --replace (with a new "
                       "--key-file)",
                       join->config_path, facts->server_key, join->token.server_key);
    }
    return SL_OK;
}

/* Root makes the key for whom the folder belongs to, as whom the agent runs. */
static int give_key(const char *path, struct sl_error *err) {
    char copy[sizeof((struct join *)0)->key_file];
    struct stat st;
    sl_text_copy(copy, sizeof copy, path);
    if (geteuid() == 0 && (stat(dirname(copy), &st) != 0 || chown(path, st.st_uid, st.st_gid))) {
        return sl_fail_errno(err, "cannot give %s to the owner of its folder", path);
    }
    return SL_OK;
}

static int make_key(struct join *join, struct sl_error *err) {
    int rc = sl_link_keys_read(join->key_file, &join->keys, err);
    if (rc != -SL_NOTFOUND) {
        return rc; /* of an earlier attempt: it is never overwritten */
    }
    rc = sl_link_keys_generate(&join->keys, err);
    rc = rc ? rc : sl_link_keys_write(join->key_file, &join->keys, err);
    join->key_made = rc == SL_OK;
    return rc ? rc : give_key(join->key_file, err);
}

static void add_device(struct sl_join_request *request, const struct sl_device_info *info) {
    char name[SL_JOIN_DEVICE_NAME_MAX];
    sl_text_copy(name, sizeof name, info->name);
    for (char *c = name; *c; c++) { /* names come from drivers */
        *c = (unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e ? '?' : *c;
    }
    for (uint32_t i = 0; i < request->device_count; i++) {
        if (strcmp(request->devices[i].name, name) == 0) {
            request->devices[i].count++;
            return;
        }
    }
    if (request->device_count < SL_JOIN_DEVICES_MAX) {
        struct sl_join_device *to = &request->devices[request->device_count++];
        sl_text_copy(to->name, sizeof to->name, name[0] ? name : "device");
        to->count = 1;
        to->is_cpu = info->is_cpu;
        to->memory_bytes = info->memory_bytes;
    }
}

static void fill_request(const struct join *join, struct sl_join_request *request) {
    memcpy(request->secret, join->token.secret, sizeof request->secret);
    sl_text_copy(request->node, sizeof request->node, join->token.name);
    sl_text_copy(request->agent_version, sizeof request->agent_version, SLUICE_VERSION);
    const struct sl_discover_config config = {
        .node = join->token.name, .cpu = SL_CPU_USE_AUTO, .gpus = true};
    struct sl_discovery *found = NULL;
    struct sl_error err;
    if (join->no_inventory) {
        return;
    }
    if (sl_discover(&config, &found, &err) != SL_OK) {
        fprintf(stderr, "no devices are told to the broker: %s\n", err.text);
        return;
    }
    for (uint32_t i = 0; i < sl_discovery_count(found); i++) {
        add_device(request, sl_discovery_info(found, i));
    }
    sl_discovery_destroy(found);
}

static int present(struct join *join, const struct sl_join_request *request, struct sl_error *err) {
    uint8_t data[SL_JOIN_MESSAGE_MAX];
    uint8_t back[SL_JOIN_BYTES_MAX];
    size_t size = 0;
    struct sl_join_exchange exchange = {
        .endpoint = join->token.join_endpoint, .keys = join->keys, .timeout_ms = EXCHANGE_MS};
    sl_text_copy(exchange.server_key, sizeof exchange.server_key, join->token.server_key);
    int rc = sl_join_request_encode(request, data, &size, err);
    for (int i = 0; rc == SL_OK && i < ATTEMPTS; i++) {
        size_t back_size = 0;
        rc = sl_join_exchange(&exchange, data, size, back, &back_size, err);
        rc = rc ? rc : sl_join_reply_decode(back, back_size, &join->reply, err);
        if (rc != -SL_TIMEOUT) {
            break;
        }
        join->key_made = false; /* the broker may know it: only its answer was lost */
        rc = i + 1 < ATTEMPTS ? SL_OK : rc;
    }
    explicit_bzero(data, sizeof data);
    explicit_bzero(&exchange.keys, sizeof exchange.keys);
    return rc;
}

static void section_of(const struct join *join, struct sl_buf *out) {
    sl_buf_printf(out,
                  "broker:\n"
                  "  endpoint: %s\n"
                  "  server_key: \"%s\"\n"
                  "  key_file: %s\n",
                  join->token.agents_endpoint, join->token.server_key, join->key_file);
}

/* Before anything is sent: a token should not be used up for a file that is wrong. */
static int check_config(const struct join *join, struct sl_error *err) {
    SL_AUTO_BUF struct sl_buf section = {0};
    if (!join->has_config) {
        return SL_OK;
    }
    section_of(join, &section);
    if (section.failed) {
        return sl_fail(err, SL_NOMEM, "no memory");
    }
    int rc = sl_join_config_check(join->config_path, join->token.name, section.data, err);
    return rc ? sl_wrap(err, "nothing was sent") : SL_OK;
}

static int write_config(const struct join *join, struct sl_error *err) {
    SL_AUTO_BUF struct sl_buf section = {0};
    section_of(join, &section);
    if (section.failed) {
        return sl_fail(err, SL_NOMEM, "no memory");
    }
    if (join->has_config) {
        return sl_join_config_save(join->config_path, join->token.name, section.data, err);
    }
    printf("node: %s\n%s", join->token.name, section.data);
    return SL_OK;
}

static void say_next(const struct join *join) {
    const char *config = join->has_config ? join->config_path : "agent.yaml with the lines above";
    fprintf(stderr, "%s: key %s is in %s%s%s\n", join->token.name, join->keys.public_key,
            join->key_file, join->has_config ? "; the broker is written to " : "",
            join->has_config ? join->config_path : "");
    if (join->reply.status == SL_JOIN_APPROVED) {
        fprintf(stderr,
                "Approved. Next: start it, `systemctl start sluice-agent` or `sluice-agent "
                "--config %s`\n",
                config);
    } else {
        fprintf(stderr,
                "It waits for an operator, who compares the key and says `sluice agents approve "
                "%s`. The agent may be started meanwhile: it is let in from then on. To see how it "
                "stands, give this command again (the token still answers this key)\n",
                join->token.name);
    }
}

static int join_site(struct join *join, struct sl_error *err) {
    struct sl_join_request request = {0};
    int rc = read_config(join, err);
    rc = rc ? rc : check_config(join, err);
    rc = rc ? rc : make_key(join, err);
    if (rc) {
        return rc;
    }
    fill_request(join, &request);
    rc = present(join, &request, err);
    join->key_made = join->key_made && (rc || join->reply.status == SL_JOIN_REFUSED);
    while (rc == SL_OK && join->reply.status == SL_JOIN_WAITING && join->wait) {
        sleep(POLL_S);
        rc = present(join, &request, err);
        rc = rc == -SL_TIMEOUT || rc == -SL_CLOSED ? SL_OK : rc; /* the broker restarts */
    }
    explicit_bzero(&request, sizeof request);
    bool refused = rc == SL_OK && join->reply.status == SL_JOIN_REFUSED;
    if (refused) {
        rc = join->key_made
                 ? sl_fail(err, SL_DENIED, "the broker refuses: %s", join->reply.text)
                 : sl_fail(err, SL_DENIED,
                           "the broker refuses: %s. It was presented with the key that stood in %s "
                           "already: to join with a new one, move that file away",
                           join->reply.text, join->key_file);
    }
    if (rc && join->key_made && (refused || rc == -SL_CLOSED || rc == -SL_DENIED)) {
        unlink(join->key_file); /* nothing is known of it anywhere */
    }
    return rc ? rc : write_config(join, err);
}

int sl_verb_join(int argc, char **argv) {
    struct join join = {0};
    struct sl_error err = {0};
    int code = parse(argc, argv, &join);
    if (code >= 0) {
        return code;
    }
    int rc = read_token(&join, &err);
    rc = rc ? rc : join_site(&join, &err);
    if (rc) {
        fprintf(stderr, "sluice-agent join: %s\n", err.text);
    } else {
        say_next(&join);
    }
    explicit_bzero(&join, sizeof join);
    return rc ? 1 : 0;
}
