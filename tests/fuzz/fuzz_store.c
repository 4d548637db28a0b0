/* SPDX-License-Identifier: Apache-2.0
 * A hostile store: byte 0 chooses what is done to a sound one (store_sample.c), which lies in
 * memory with its log. Then the broker's own start: open, check, read every list, restore a core,
 * step it, commit. Either an error that names the store, or all of it works and the file can be
 * opened again. */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/shell/restore.h"
#include "broker/store/events.h"
#include "broker/store/page_sum.h"
#include "tests/fuzz/store_sample.h"

#define FILE_MAX (256 * 1024)

enum how {
    HOW_FILE,  /* the input is the file */
    HOW_PATCH, /* pieces of the file are overwritten: offset (3 bytes), count, bytes */
    HOW_LOG,   /* the same with its log, whose sums are then made right */
    HOW_SQL,   /* the input is SQL, run on it: sound pages with hostile rows and tables */
    HOW_COUNT,
    HOW_RAW = 32,  /* flag: page checksums are not made right, so that most of it ends at them */
    HOW_AGAIN = 64 /* flag: what was written is opened again, which costs a third of the time */
};

struct fuzz_store {
    char dir[64];
    char path[96];
    uint32_t rows;
    bool failed;
};

static struct fuzz_store the_store;

static void path_of(const char *end, char path[128]) {
    snprintf(path, 128, "%s%s", the_store.path, end);
}

static void remove_files(void) {
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char path[128];
        path_of(ends[i], path);
        unlink(path);
    }
}

static void remove_all(void) {
    remove_files();
    rmdir(the_store.dir);
}

/* SQLite's own memory from blocks of its own: a third of the time was the sanitizer's malloc. */
static void configure_sqlite(void) {
    static _Alignas(8) uint8_t pages[300][4608];
    fuzz_check(sqlite3_config(SQLITE_CONFIG_PAGECACHE, pages, 4608, 300) == SQLITE_OK);
    fuzz_check(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 1200, 400) == SQLITE_OK);
    fuzz_check(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK);
}

static void prepare(void) {
    struct fuzz_store *s = &the_store;
    configure_sqlite();
    snprintf(s->dir, sizeof s->dir, "/dev/shm/sluice-fuzz-store-%d", (int)getpid());
    snprintf(s->path, sizeof s->path, "%s/s", s->dir);
    fuzz_check(mkdir(s->dir, 0700) == 0);
    sl_log_set_level((enum sl_log_level)0);
    store_sample_make(s->path);
    atexit(remove_all);
}

static void write_file(const char *end, const uint8_t *bytes, size_t n) {
    char path[128];
    path_of(end, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    fuzz_check(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
}

static void patch(struct fuzz_input *in, uint8_t *bytes, size_t size) {
    while (in->left > 4) {
        size_t at = fuzz_u8(in);
        at |= (size_t)fuzz_u16(in) << 8;
        size_t n = 0;
        const uint8_t *from = fuzz_bytes(in, fuzz_u8(in), &n);
        for (size_t i = 0; i < n; i++) {
            bytes[(at + i) % size] = from[i];
        }
    }
}

static void seal(uint8_t *file, size_t size) {
    for (size_t at = 0; at + SL_PAGE_BYTES <= size; at += SL_PAGE_BYTES) {
        sl_page_seal(file + at, (uint32_t)(at / SL_PAGE_BYTES) + 1);
    }
}

static int stop(void *arg) {
    (void)arg;
    return 1;
}

/* Rows are written by another program than ours, without its rules; not for long, and not many. */
static void run_sql(struct fuzz_input *in) {
    sqlite3 *db = NULL;
    char *sql = fuzz_text(in->at, in->left);
    char *at = sql;
    char vfs[SL_PAGE_VFS_NAME_MAX];
    fuzz_check(sl_page_vfs("unix", vfs) == SQLITE_OK);
    fuzz_check(sqlite3_open_v2(the_store.path, &db, SQLITE_OPEN_READWRITE, vfs) == SQLITE_OK);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, FILE_MAX);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_exec(db, "PRAGMA max_page_count = 500", NULL, NULL, NULL);
    sqlite3_progress_handler(db, 20000, stop, NULL);
    for (int i = 0; at && i < 16; i++) {
        char *next = strchr(at, ';');
        if (next) {
            *next++ = '\0';
        }
        sqlite3_exec(db, at, NULL, NULL, NULL); /* what it does not take is no harm */
        at = next;
    }
    sqlite3_close(db);
    free(sql);
}

static void make_store(struct fuzz_input *in, enum how how, bool raw) {
    const struct store_sample *sample = store_sample_get();
    if (how == HOW_FILE) {
        size_t size = in->left < FILE_MAX ? in->left : FILE_MAX;
        uint8_t *bytes = fuzz_copy(in->at, size);
        if (!raw) {
            seal(bytes, size);
        }
        write_file("", bytes, size);
        free(bytes);
        return;
    }
    uint8_t *file = fuzz_copy(sample->file, sample->file_bytes);
    uint8_t *log = fuzz_copy(sample->log, sample->log_bytes);
    if (how == HOW_PATCH) {
        patch(in, file, sample->file_bytes);
        if (!raw) {
            seal(file, sample->file_bytes);
        }
    } else if (how == HOW_LOG) {
        patch(in, log, sample->log_bytes);
        store_sample_fix_log(log, sample->log_bytes);
    }
    write_file("", file, sample->file_bytes);
    if (how == HOW_LOG) {
        write_file("-wal", log, sample->log_bytes);
    }
    if (how == HOW_SQL) {
        run_sql(in);
    }
    free(file);
    free(log);
}

static void on_fatal(void *arg, const char *reason) {
    (void)arg;
    fuzz_check(reason[0] != '\0');
    the_store.failed = true;
}

static int count_row(void *arg, const void *row) {
    (void)arg;
    fuzz_check(row);
    return ++the_store.rows > 10000;
}

static void check_read(int rc, const struct sl_error *err) {
    if (rc != SL_OK) {
        fuzz_check_error(rc, err);
    }
}

/* Every list and every single row that a handler may ask for. */
static void read_all(struct sl_reader *r) {
    struct sl_error e = {0};
    struct sl_share_totals totals;
    struct sl_batch_row batch;
    struct sl_file_row file;
    const struct sl_file_list files = {
        .tenant = "acme", .purpose = "batch", .after = "", .limit = 50, .ascending = true};
    bool more = false;
    the_store.rows = 0;
    check_read(sl_reader_keys(r, count_row, NULL, &e), &e);
    check_read(sl_reader_batches(r, NULL, "", 50, count_row, NULL, &more, &e), &e);
    check_read(sl_reader_batches(r, "acme", "b1", 50, count_row, NULL, &more, &e), &e);
    check_read(sl_reader_files(r, &files, count_row, NULL, &more, &e), &e);
    check_read(sl_reader_results(r, "b1", true, count_row, NULL, &e), &e);
    check_read(sl_reader_directives(r, "n/0", 20, count_row, NULL, &e), &e);
    check_read(sl_reader_transfers(r, 0, 1000, count_row, NULL, &e), &e);
    check_read(sl_reader_audit(r, (struct sl_wall){0}, 100, count_row, NULL, &e), &e);
    check_read(sl_reader_accounts(r, count_row, NULL, &e), &e);
    check_read(sl_reader_share_totals(r, &totals, &e), &e);
    int rc = sl_reader_batch(r, "b1", &batch, &e);
    if (rc == SL_OK) {
        sl_batch_row_fini(&batch);
    }
    check_read(rc, &e);
    check_read(sl_reader_file(r, "f1", &file, &e), &e);
    check_read(sl_reader_ledger_check(r, &e), &e);
    (void)sl_reader_has_share(r, "k", 1);
}

/* What the core wants done, without doing it. */
static void step(struct sl_broker_core *core, struct sl_core_event *event, struct sl_now now) {
    struct sl_core_command command;
    sl_broker_core_step(core, event, now);
    for (int i = 0; i < 1000 && sl_broker_core_next(core, &command); i++) {
        sl_core_command_fini(&command);
    }
}

static void restore_core(struct sl_reader *r, struct sl_reader *second) {
    struct sl_broker_core *core = NULL;
    struct sl_error err = {0};
    struct sl_core_config *config = calloc(1, sizeof *config);
    fuzz_check(config);
    store_sample_core(config);
    fuzz_check(sl_broker_core_create(config, &core, NULL) == SL_OK);
    free(config);
    int rc = sl_broker_restore(core, r, second, &err);
    if (rc != SL_OK) {
        fuzz_check_error(rc, &err);
    } else {
        struct sl_now now = {{1000 * SL_NS_PER_S}, {INT64_C(1770000100000)}};
        struct sl_core_event timer = {.kind = SL_CEV_TIMER};
        step(core, &timer, now);
        now.mono.ns += 10 * SL_NS_PER_S;
        step(core, &timer, now);
    }
    sl_broker_core_destroy(core);
}

static void commit_one(struct sl_store *store) {
    struct sl_op op = {.kind = SL_OP_META, .meta = {"counters", "0 0 0 0 0 0 0 0"}};
    struct sl_txn *txn = NULL;
    fuzz_check(sl_txn_create(&txn, NULL) == SL_OK && sl_txn_add(txn, &op, NULL) == SL_OK);
    fuzz_check(sl_store_submit(store, txn) == SL_OK);
    fuzz_check(sl_store_commit(store));
}

static int open_store(struct sl_store **ret_store, struct sl_error *err) {
    const struct sl_store_config config = {
        .path = the_store.path, .fatal = on_fatal, .vfs = "unix", .threadless = true};
    int rc = sl_store_open(&config, ret_store, err);
    if (rc != SL_OK) {
        fuzz_check_error(rc, err);
        fuzz_check(!*ret_store);
    }
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_input in = {data, size};
    struct sl_store *store = NULL;
    struct sl_reader *reader = NULL;
    struct sl_reader *second = NULL;
    struct sl_error err = {0};
    if (the_store.path[0] == '\0') {
        prepare();
    }
    the_store.failed = false;
    remove_files();
    uint8_t how = fuzz_u8(&in);
    make_store(&in, (enum how)((how & 31) % HOW_COUNT), how & HOW_RAW);
    if (open_store(&store, &err) != SL_OK) {
        return 0;
    }
    if (sl_reader_open(the_store.path, "unix", &reader, &err) == SL_OK &&
        sl_reader_open(the_store.path, "unix", &second, &err) == SL_OK) {
        restore_core(reader, second);
        read_all(reader);
    }
    commit_one(store);
    sl_reader_close(second);
    sl_reader_close(reader);
    bool failed = the_store.failed;
    sl_store_close(store);
    store = NULL;
    if (!failed && (how & HOW_AGAIN)) {
        fuzz_check(open_store(&store, &err) == SL_OK); /* what we wrote, we read */
        sl_store_close(store);
    }
    return 0;
}
