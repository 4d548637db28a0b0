/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/site.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/http/internal.h"
#include "broker/http/views.h"
#include "tests/fuzz/fuzz.h"

#define IDLE_TURNS 6
#define CHANGES_MAX 32

struct site {
    char dir[64];
    char path[96];
    char operator_key[SL_SECRET_MAX];
    char tenant_key[SL_SECRET_MAX];
    struct sl_store *store;
    struct sl_reader *reader;
    struct sl_http *http;
    struct sl_broker_core *core;
    uint64_t good; /* answers of 2xx so far */
    bool changed;  /* something but a GET reached a worker */
    int changes;   /* requests that left something in the store */
};

static struct site the_site;

static void on_fatal(void *arg, const char *reason) {
    (void)arg;
    fuzz_broken(reason, "the store", 0);
}

static void remove_files(const char *dir) {
    DIR *entries = opendir(dir);
    for (struct dirent *e; entries && (e = readdir(entries));) {
        unlinkat(dirfd(entries), e->d_name, 0);
    }
    if (entries) {
        closedir(entries);
    }
}

static void close_site(void) {
    struct site *site = &the_site;
    char path[96];
    if (!site->http) {
        return;
    }
    sl_http_destroy(site->http);
    sl_store_close(site->store);
    sl_reader_close(site->reader);
    sl_broker_core_destroy(site->core);
    snprintf(path, sizeof path, "%s/files", site->dir);
    remove_files(path);
    rmdir(path);
    remove_files(site->dir);
    rmdir(site->dir);
    *site = (struct site){.http = NULL};
}

static void add_tenant_key(struct site *site) {
    struct sl_op op = {.kind = SL_OP_KEY};
    struct sl_txn *txn = NULL;
    sl_key_make(SL_ROLE_TENANT, "acme", "fuzz", site->tenant_key, &op.key);
    fuzz_check(sl_txn_create(&txn, NULL) == SL_OK && sl_txn_add(txn, &op, NULL) == SL_OK);
    fuzz_check(sl_http_commit(site->http, txn, NULL) == SL_OK);
    fuzz_check(sl_keys_load(&site->http->keys, site->reader, NULL) == SL_OK);
}

static void read_operator_key(struct site *site) {
    char path[96];
    snprintf(path, sizeof path, "%s/operator.key", site->dir);
    FILE *file = fopen(path, "re");
    fuzz_check(file && fgets(site->operator_key, sizeof site->operator_key, file));
    fclose(file);
    site->operator_key[strcspn(site->operator_key, "\n")] = '\0';
}

static void open_site(void) {
    struct site *site = &the_site;
    struct sl_core_config *core = calloc(1, sizeof *core);
    snprintf(site->dir, sizeof site->dir, "/dev/shm/sluice-fuzz-site-%d", (int)getpid());
    snprintf(site->path, sizeof site->path, "%s/store.db", site->dir);
    fuzz_check(core && mkdir(site->dir, 0700) == 0);
    /* By its VFS's name: then no room is made for a log that will never be long. */
    const struct sl_store_config store = {.path = site->path, .fatal = on_fatal, .vfs = "unix"};
    fuzz_check(sl_store_open(&store, &site->store, NULL) == SL_OK);
    fuzz_check(sl_reader_open(site->path, NULL, &site->reader, NULL) == SL_OK);
    const struct sl_http_config config = {.data_dir = site->dir,
                                          .store_path = site->path,
                                          .store = site->store,
                                          .tenant_count = 1,
                                          .tenants = {"acme"}};
    fuzz_check(sl_http_prepare(&config, &site->http, NULL) == SL_OK);
    site->http->daemon = sl_http_daemon(site->http, -1);
    fuzz_check(site->http->daemon);
    core->safe_mode = SL_MODE_IDLE;
    core->unit_lines = 8;
    fuzz_check(sl_broker_core_create(core, &site->core, NULL) == SL_OK);
    free(core);
    read_operator_key(site);
    add_tenant_key(site);
}

static struct site *get_site(void) {
    static bool registered;
    if (!registered) {
        registered = true;
        sl_log_set_level((enum sl_log_level)0);
        atexit(close_site);
    }
    if (!the_site.http) {
        open_site();
    }
    return &the_site;
}

const char *site_tenant_key(void) {
    return get_site()->tenant_key;
}

const char *site_operator_key(void) {
    return get_site()->operator_key;
}

static void play_core(struct site *site, uint8_t core, struct sl_http_request *request) {
    static const int answers[] = {SL_OK,       -SL_NOTFOUND, -SL_BADSTATE, -SL_LIMIT, SL_OK,
                                  -SL_INVALID, -SL_AGAIN,    -SL_TIMEOUT,  -SL_EXISTS};
    if (request->kind == SL_HTTP_VIEW) {
        sl_http_answer_view(site->http, site->core, sl_clock_now(), request);
        return;
    }
    fuzz_check(request->kind == SL_HTTP_EVENT && request->event.actor[0] != '\0');
    if (request->event.row) {
        fuzz_check(request->event.row->input_file[0] != '\0');
        sl_batch_row_fini(request->event.row);
        free(request->event.row);
    }
    int status = answers[core % (sizeof answers / sizeof answers[0])];
    sl_http_reply(site->http, request->cookie, status, "the core says so");
}

/* Runs whatever is due; all in this thread. */
static void turn(struct site *site, uint8_t core) {
    static struct sl_http_request request;
    struct sl_http_call *call = NULL;
    MHD_run(site->http->daemon);
    while (sl_mailbox_take(site->http->jobs, &call)) {
        site->changed = site->changed || strcmp(call->route->method, "GET") != 0;
        sl_http_run(call, site->reader);
    }
    while (sl_mailbox_take(site->http->requests, &request)) {
        play_core(site, core, &request);
    }
}

/* False: the connection has ended. */
static bool hear(int fd, struct sl_buf *answer) {
    char chunk[16384];
    ssize_t n;
    while ((n = recv(fd, chunk, sizeof chunk, MSG_DONTWAIT)) > 0) {
        sl_buf_append(answer, chunk, (size_t)n);
    }
    return n != 0;
}

static int connect_to(struct site *site) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    int ends[2];
    fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    fuzz_check(MHD_add_connection(site->http->daemon, ends[1], (struct sockaddr *)&address,
                                  sizeof address) == MHD_YES);
    return ends[0];
}

/* Or the store would grow and grow. */
static void begin_anew_if_changed(struct site *site) {
    memset(site->http->dedupe, 0, sizeof site->http->dedupe);
    site->changes += site->changed && site->http->answers[2] != site->good;
    if (site->changes == CHANGES_MAX) {
        close_site();
        return;
    }
    site->changed = false;
    site->good = site->http->answers[2];
}

void site_talk(uint8_t core, const char *request, size_t size, size_t piece,
               struct sl_buf *answer) {
    struct site *site = get_site();
    int fd = connect_to(site);
    size_t sent = 0;
    bool open = true;
    bool ended = false;
    /* libmicrohttpd does not look for an end right behind a short read, but leaves such a
     * connection to its idle time: a few turns in which nothing comes are the end too. */
    for (int idle = 0; open && idle < IDLE_TURNS; idle++) {
        size_t n = piece > 0 && piece < size - sent ? piece : size - sent;
        ssize_t done = n > 0 ? send(fd, request + sent, n, MSG_NOSIGNAL) : 0;
        size_t heard = answer->len;
        sent += done > 0 ? (size_t)done : 0;
        if (n == 0 && !ended) {
            ended = true;
            shutdown(fd, SHUT_WR);
        }
        turn(site, core);
        open = hear(fd, answer);
        idle = done > 0 || answer->len > heard ? 0 : idle;
    }
    fuzz_check(sent == size || !open || answer->len > 0);
    close(fd);
    turn(site, core);
    turn(site, core);
    fuzz_check(atomic_load(&site->http->suspended) == 0 && atomic_load(&site->http->owed) == 0);
    begin_anew_if_changed(site);
}

int site_leftovers(void) {
    char path[96];
    int count = 0;
    snprintf(path, sizeof path, "%s/files", get_site()->dir);
    DIR *entries = opendir(path);
    fuzz_check(entries);
    for (struct dirent *e; (e = readdir(entries));) {
        count += strncmp(e->d_name, "tmp-", 4) == 0;
    }
    closedir(entries);
    return count;
}

int site_check(const struct sl_buf *answer) {
    int status = 0;
    if (answer->len == 0) {
        return 0;
    }
    fuzz_check(sscanf(answer->data, "HTTP/1.%*c %3d", &status) == 1);
    fuzz_check(status >= 100 && status < 600);
    /* The code, not the type: a core that has too much to do is of that type too. */
    fuzz_check(!strstr(answer->data, "\"code\":\"server_error\""));
    return status;
}
