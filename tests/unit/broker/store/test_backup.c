/* SPDX-License-Identifier: Apache-2.0
 * Backups while the store is written to, and what is refused as one. */
#include "broker/store/backup.h"
#include "broker/store/store_internal.h"

#include <pthread.h>

#include "tests/unit/broker/store/site_dir.h"

static void a_backup_of_a_running_store_is_whole(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    char file[128];
    make_site(f);
    snprintf(file, sizeof file, "%s/b1", f->dir);
    struct sl_backup_facts facts;
    struct sl_backup_config config = {.data_dir = f->dir, .file = file, .now = {1234567}};
    if (sl_backup_make(&config, &facts, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(facts.files, 5); /* two deleted or forgotten are not in it */
    assert_int_equal(facts.batches_open, 1);
    assert_int_equal(facts.at.ms, 1234567);
    assert_int_equal(facts.schema, SL_SCHEMA_VERSION);
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(sl_backup_make(&config, &facts, &err), -SL_EXISTS);
    assert_non_null(strstr(err.text, "--force"));
    config.force = true;
    assert_int_equal(sl_backup_make(&config, &facts, &err), SL_OK);
    /* Nothing is left beside it. */
    assert_int_equal(
        run_command("test -z \"$(ls -d %s/*.part* %s/backup.links 2>/dev/null)\"", f->dir, f->dir),
        0);
}

/* FILE taken for what is backed up names the store, and --force was said to replace it. */
static void only_a_backup_is_replaced(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    struct sl_backup_facts facts;
    char path[160];
    static const char *const others[] = {"store.db", "operator.key", "files", "pipe", "link"};
    make_site(f);
    assert_int_equal(run_command("cd %s && mkfifo pipe && ln -s operator.key link", f->dir), 0);
    struct sl_backup_config config = {.data_dir = f->dir, .file = path, .now = {1234567}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct stat before, after;
        snprintf(path, sizeof path, "%s/%s", f->dir, others[i]);
        assert_int_equal(lstat(path, &before), 0);
        for (int force = 0; force < 2; force++) {
            config.force = force;
            assert_int_equal(sl_backup_make(&config, &facts, &err), -SL_EXISTS);
            assert_non_null(strstr(err.text, "is no backup, so it is never replaced"));
            assert_int_equal(lstat(path, &after), 0);
            assert_true(before.st_ino == after.st_ino);
        }
    }
    write_text(f, "empty", "", 0); /* of mktemp */
    snprintf(path, sizeof path, "%s/empty", f->dir);
    if (sl_backup_make(&config, &facts, &err)) {
        fail_msg("%s", err.text);
    }
}

struct busy {
    struct fixture *f;
    _Atomic bool stop;
    uint32_t commits;
    int64_t longest_ns;
};

static void *keep_committing(void *arg) {
    struct busy *busy = arg;
    for (uint32_t i = 100; !atomic_load(&busy->stop); i++) {
        struct sl_mono start = sl_clock_mono();
        char ref[32];
        snprintf(ref, sizeof ref, "batch_1/%u", i);
        struct sl_op op = {.kind = SL_OP_AUDIT};
        submit(busy->f, &op, 1, i);
        wait_for(busy->f, i);
        int64_t took = sl_mono_since_ns(sl_clock_mono(), start);
        busy->longest_ns = took > busy->longest_ns ? took : busy->longest_ns;
        busy->commits++;
    }
    return NULL;
}

static void commits_go_on_meanwhile_and_the_copy_is_of_one_moment(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    char file[128];
    pthread_t thread;
    make_site(f);
    struct busy busy = {.f = f};
    assert_int_equal(pthread_create(&thread, NULL, keep_committing, &busy), 0);
    for (int i = 0; i < 3; i++) {
        snprintf(file, sizeof file, "%s/b%d", f->dir, i);
        if (backup_to(f, file, &err)) {
            fail_msg("%s", err.text);
        }
    }
    atomic_store(&busy.stop, true);
    pthread_join(thread, NULL);
    print_message("%u commits meanwhile, the longest took %lld ms\n", busy.commits,
                  (long long)busy.longest_ns / 1000000);
    assert_true(busy.commits > 5);
}

/* As the issue says: refused by name. */
static void what_is_no_sound_backup_is_refused(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    char file[128];
    char path[128];
    make_site(f);
    snprintf(file, sizeof file, "%s/b1", f->dir);
    snprintf(path, sizeof path, "%s/bad", f->dir);
    assert_int_equal(backup_to(f, file, &err), SL_OK);
    struct sl_backup_facts facts;
    struct bytes good = load(file);
    uint64_t seed = 3;
    for (int i = 0; i < 150; i++) {
        struct bytes bad = good;
        size_t at = dice(&seed) % good.size;
        uint8_t bit = (uint8_t)(i % 3 ? 1 << i % 8 : 0);
        bad.size = i % 3 == 0 ? at : good.size;
        bad.data[at] ^= bit;
        save(path, &bad);
        int rc = sl_backup_check(path, &facts, &err);
        if (rc != -SL_CORRUPT && rc != -SL_INVALID) {
            fail_msg("%d of %s at %zu: %d", i, i % 3 ? "flip" : "cut", at, rc);
        }
        assert_non_null(strstr(err.text, path));
        bad.data[at] ^= bit;
    }
    free(good.data);
    static const char text[] =
        "not a backup, but a longer text of more than one hundred bytes, which "
        "are the head of a database of SQLite's";
    write_text(f, "bad", text, sizeof text - 1);
    assert_int_equal(sl_backup_check(path, &facts, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "was not made by `sluice-broker backup`"));
    assert_int_equal(sl_backup_check(f->path, &facts, &err), -SL_INVALID); /* the store itself */
    /* One of the program before settlements is as good as it was. */
    sqlite3 *db = open_raw(file);
    assert_int_equal(sqlite3_exec(db,
                                  "DROP INDEX shares_unsettled; DROP TABLE settlements;"
                                  "ALTER TABLE shares DROP COLUMN settlement;"
                                  "PRAGMA user_version=3",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    if (sl_backup_check(file, &facts, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(facts.schema, 3);
    db = open_raw(file);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=1000", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(sl_backup_check(file, &facts, &err), -SL_UNSUPPORTED);
    assert_non_null(strstr(err.text, "run the newer sluice-broker"));
}

static void a_backup_is_not_opened_as_a_store(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    char file[128];
    make_site(f);
    snprintf(file, sizeof file, "%s/b1", f->dir);
    assert_int_equal(backup_to(f, file, &err), SL_OK);
    struct sl_store *store = NULL;
    const struct sl_store_config config = {.path = file, .fatal = on_fatal, .fatal_arg = f};
    assert_int_equal(sl_store_open(&config, &store, &err), -SL_INVALID);
    assert_non_null(strstr(err.text, "is a backup, not a store"));
}

static void a_missing_file_is_named(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    char file[128];
    make_site(f);
    snprintf(file, sizeof file, "%s/files/file-in", f->dir);
    unlink(file);
    snprintf(file, sizeof file, "%s/b1", f->dir);
    assert_int_equal(backup_to(f, file, &err), -SL_NOTFOUND);
    assert_non_null(strstr(err.text, "files/file-in, but it is not there"));
    assert_int_not_equal(access(file, F_OK), 0);
}

/* ---- what goes while it is linked; the linker takes this one ---- */

static struct fixture *ending;
static int links_asked;

/* The batch ends, and with it its texts, after the backup has read its row. */
static void end_batch(struct fixture *f, const char *spool) {
    struct sl_op op = batch_op(0);
    op.batch->lines_total = 3;
    op.batch->state = SL_BATCH_COMPLETED;
    submit(f, &op, 1, 3);
    wait_for(f, 3);
    assert_int_equal(unlink(spool), 0);
}

int link(const char *from, const char *to) {
    if (strstr(from, "/lines/batch_1") && links_asked++ == 0 && ending) {
        end_batch(ending, from);
    }
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

static void make_begun(struct fixture *f) {
    make_site(f);
    struct sl_op op = batch_op(0);
    op.batch->lines_total = 3;
    submit(f, &op, 1, 2);
    wait_for(f, 2);
    links_asked = 0;
}

static void texts_that_go_meanwhile_are_of_another_moment(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    struct sl_backup_facts facts;
    char file[128];
    make_begun(f);
    snprintf(file, sizeof file, "%s/b1", f->dir);
    const struct sl_backup_config config = {.data_dir = f->dir, .file = file, .now = {1234567}};
    ending = f;
    int rc = sl_backup_make(&config, &facts, &err);
    ending = NULL;
    if (rc) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(facts.batches_open, 0); /* as it was when its texts were gone */
    assert_int_equal(facts.batches_bare, 0);
    assert_int_equal(facts.files, 4);
}

/* One batch's file must not end all backups, but it is said. */
static void texts_that_the_site_lacks_are_counted(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    struct sl_backup_facts facts;
    char file[128];
    make_begun(f);
    snprintf(file, sizeof file, "%s/b1", f->dir);
    const struct sl_backup_config config = {
        .data_dir = f->dir, .file = file, .force = true, .now = {1234567}};
    assert_int_equal(sl_backup_make(&config, &facts, &err), SL_OK);
    assert_int_equal(facts.batches_open, 1);
    assert_int_equal(facts.batches_bare, 0);
    assert_int_equal(links_asked, 1);
    char spool[128];
    snprintf(spool, sizeof spool, "%s/lines/batch_1", f->dir);
    assert_int_equal(unlink(spool), 0);
    if (sl_backup_make(&config, &facts, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(facts.batches_open, 1);
    assert_int_equal(facts.batches_bare, 1);
    assert_true(links_asked > 2); /* it was looked for again */
}

static void a_store_that_is_damaged_is_not_backed_up(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    char file[128];
    make_site(f);
    snprintf(file, sizeof file, "%s/b1", f->dir);
    sl_store_close(f->store);
    f->store = NULL;
    FILE *store = fopen(f->path, "r+b");
    assert_non_null(store);
    fseek(store, 2 * SL_PAGE_BYTES + 77, SEEK_SET);
    fputc(0x5a, store);
    fclose(store);
    assert_int_equal(backup_to(f, file, &err), -SL_CORRUPT);
    assert_non_null(strstr(err.text, "no backup was made"));
    assert_int_not_equal(access(file, F_OK), 0);
}

int main(void) {
#define BACKUP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        BACKUP_TEST(a_backup_of_a_running_store_is_whole),
        BACKUP_TEST(only_a_backup_is_replaced),
        BACKUP_TEST(commits_go_on_meanwhile_and_the_copy_is_of_one_moment),
        BACKUP_TEST(what_is_no_sound_backup_is_refused),
        BACKUP_TEST(a_backup_is_not_opened_as_a_store),
        BACKUP_TEST(a_missing_file_is_named),
        BACKUP_TEST(texts_that_go_meanwhile_are_of_another_moment),
        BACKUP_TEST(texts_that_the_site_lacks_are_counted),
        BACKUP_TEST(a_store_that_is_damaged_is_not_backed_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
