/* SPDX-License-Identifier: Apache-2.0
 * Putting a backup back: into its own place, an empty one, over damage; refused over a running
 * broker and for another site; and whole after a kill at any point. */
#include "broker/store/restore_swap.h"

#include <ftw.h>

#include "broker/store/events.h"
#include "tests/unit/broker/store/site_dir.h"

#define LATER INT64_C(1800000060000)

struct place {
    struct fixture *f;
    char file[128];
    char copy[80]; /* of the data dir, as it was when the backup was made */
};

static void make_place(struct fixture *f, struct place *p) {
    struct sl_error err;
    make_site(f);
    *p = (struct place){.f = f};
    snprintf(p->file, sizeof p->file, "%s.backup", f->dir);
    snprintf(p->copy, sizeof p->copy, "%s.copy", f->dir);
    if (backup_to(f, p->file, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(run_command("cp -a %s %s", f->dir, p->copy), 0);
    for (uint32_t i = 10; i < 13; i++) {
        commit_line(f, i); /* a history that will be lost */
    }
}

static void forget_place(struct place *p) {
    assert_int_equal(run_command("rm -rf %s %s", p->file, p->copy), 0);
}

static int restore(struct place *p, int64_t now_ms, struct sl_restore_facts *facts,
                   struct sl_error *err) {
    const struct sl_restore_config config = {
        .data_dir = p->f->dir, .file = p->file, .now = {now_ms}};
    return sl_restore(&config, facts, err);
}

static void check_restored(struct place *p, int64_t at_ms) {
    struct fixture *f = p->f;
    struct sl_error err;
    static const char *const names[] = {"files/file-in", "files/file-empty", "files/file-part",
                                        "lines/batch_1", "operator.key"};
    if (open_again(f, &err)) {
        fail_msg("%s", err.text);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_true(same_file(f->dir, p->copy, names[i]));
    }
    char path[160];
    snprintf(path, sizeof path, "%s/files/file-gone", f->dir);
    assert_int_not_equal(access(path, F_OK), 0);
    SL_AUTO(sl_reader) r = NULL;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), SL_OK);
    int rows = 0;
    assert_int_equal(sl_reader_transfers(r, 0, 100, count_rows, &rows, &err), SL_OK);
    assert_int_equal(rows, 0);
    assert_int_equal(sl_reader_ledger_check(r, &err), SL_OK);
    struct sl_store_high high = {0};
    assert_int_equal(sl_reader_high(r, &high, &err), SL_OK);
    assert_true(high.unit_id == (uint64_t)at_ms * 1024); /* not 41 */
    assert_true(high.epoch_floor == high.unit_id);
    int audited = 0;
    assert_int_equal(sl_reader_audit(r, (struct sl_wall){0}, 10, count_rows, &audited, &err),
                     SL_OK);
    assert_true(audited >= 1);
    sl_store_close(f->store);
    f->store = NULL;
}

static int epoch_rows(void *arg, const void *row) {
    *(uint64_t *)arg = ((const struct sl_device_row *)row)->epoch_max;
    return 0;
}

static void the_past_comes_back_and_numbers_go_on(void **state) {
    struct fixture *f = *state;
    struct sl_restore_facts facts;
    struct sl_error err;
    struct place p;
    make_place(f, &p);
    assert_int_equal(restore(&p, LATER, &facts, &err), -SL_EXISTS);
    assert_non_null(strstr(err.text, "another sluice-broker uses the store"));
    sl_store_close(f->store);
    f->store = NULL;
    if (restore(&p, LATER, &facts, &err)) {
        fail_msg("%s", err.text);
    }
    assert_non_null(strstr(facts.aside, "/before-restore.20270115T080100Z"));
    check_restored(&p, LATER);
    char path[400];
    snprintf(path, sizeof path, "%s/store.db", facts.aside);
    assert_int_equal(access(path, F_OK), 0);
    /* Once more, later: all that was given out in between lies below. */
    assert_int_equal(restore(&p, LATER, &facts, &err), -SL_BADSTATE);
    assert_non_null(strstr(err.text, "but the last restore is of"));
    assert_int_equal(restore(&p, 1, &facts, &err), -SL_BADSTATE);
    assert_int_equal(restore(&p, LATER + 1000, &facts, &err), SL_OK);
    check_restored(&p, LATER + 1000);
    SL_AUTO(sl_reader) r = NULL;
    uint64_t epoch = 0;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), SL_OK);
    assert_int_equal(sl_reader_devices(r, epoch_rows, &epoch, &err), SL_OK);
    assert_true(epoch == (uint64_t)(LATER + 1000) * 1024);
    forget_place(&p);
}

static void into_an_empty_place_and_over_damage(void **state) {
    struct fixture *f = *state;
    struct sl_restore_facts facts;
    struct sl_error err;
    struct place p;
    make_place(f, &p);
    sl_store_close(f->store);
    f->store = NULL;
    FILE *store = fopen(f->path, "r+b");
    assert_non_null(store);
    fputs("garbage in the head", store);
    fclose(store);
    assert_int_equal(open_again(f, &err), -SL_CORRUPT);
    assert_int_equal(restore(&p, LATER, &facts, &err), SL_OK);
    assert_false(facts.kept.known);
    check_restored(&p, LATER);
    assert_int_equal(run_command("rm -rf %s", f->dir), 0);
    assert_int_equal(restore(&p, LATER, &facts, &err), SL_OK);
    assert_string_equal(facts.aside, "");
    check_restored(&p, LATER);
    forget_place(&p);
}

/* A broker was killed: its log is there, and belongs to the old store. */
static void the_log_of_the_old_store_goes_with_it(void **state) {
    struct fixture *f = *state;
    struct sl_restore_facts facts;
    struct sl_error err;
    struct place p;
    make_place(f, &p);
    assert_int_equal(run_command("cp -a %s %s.killed", f->dir, f->dir), 0);
    sl_store_close(f->store);
    f->store = NULL;
    char command[300];
    snprintf(command, sizeof command, "rm -rf %s && mv %s.killed %s", f->dir, f->dir, f->dir);
    assert_int_equal(system(command), 0);
    if (restore(&p, LATER, &facts, &err)) {
        fail_msg("%s", err.text);
    }
    char path[400];
    snprintf(path, sizeof path, "%s/store.db-wal", facts.aside);
    assert_int_equal(access(path, F_OK), 0);
    check_restored(&p, LATER);
    forget_place(&p);
}

static void another_site_is_refused_until_it_is_adopted(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    struct place p;
    make_place(f, &p);
    sl_store_close(f->store);
    f->store = NULL;
    assert_int_equal(run_command("rm -rf %s/store.db*", f->dir), 0);
    assert_int_equal(open_again(f, &err), SL_OK); /* another site's store stands there now */
    sl_store_close(f->store);
    f->store = NULL;
    struct sl_restore_config config = {.data_dir = f->dir, .file = p.file, .now = {LATER}};
    struct sl_restore_facts facts;
    assert_int_equal(sl_restore(&config, &facts, &err), -SL_DENIED);
    assert_non_null(strstr(err.text, "is a backup of site"));
    assert_non_null(strstr(err.text, "--adopt-store"));
    config.adopt = true;
    config.site_key = "NEW-KEY";
    assert_int_equal(sl_restore(&config, &facts, &err), SL_OK);
    check_restored(&p, LATER);
    config.adopt = false;
    config.site_key = "OTHER-KEY";
    /* The backup was made without a key; one of the restored store has it. */
    unlink(p.file);
    assert_int_equal(backup_to(f, p.file, &err), SL_OK);
    config.now.ms = LATER + 5;
    assert_int_equal(sl_restore(&config, &facts, &err), -SL_DENIED);
    assert_non_null(strstr(err.text, "NEW-KEY, not OTHER-KEY"));
    forget_place(&p);
}

/* A leaked key that was revoked after the backup must not be good again. */
static void what_was_revoked_since_stays_revoked(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    struct place p;
    struct sl_op ops[6] = {{.kind = SL_OP_KEY},       {.kind = SL_OP_KEY},
                           {.kind = SL_OP_AGENT},     {.kind = SL_OP_AGENT},
                           {.kind = SL_OP_ENROLMENT}, {.kind = SL_OP_ENROLMENT}};
    for (int i = 0; i < 2; i++) {
        snprintf(ops[i].key.id, sizeof ops[i].key.id, "key_%d", i);
        ops[i].key.hash[0] = (uint8_t)(i + 1);
        ops[i].key.role = SL_ROLE_OPERATOR;
        snprintf(ops[2 + i].agent.id, sizeof ops[2 + i].agent.id, "AGENT-%d", i);
        snprintf(ops[2 + i].agent.key, sizeof ops[2 + i].agent.key, "AGENT-%d", i);
        snprintf(ops[2 + i].agent.name, sizeof ops[2 + i].agent.name, "n%d", i);
        ops[2 + i].agent.state = SL_AGENT_APPROVED;
        snprintf(ops[4 + i].enrolment.id, sizeof ops[4 + i].enrolment.id, "token_%d", i);
        strcpy(ops[4 + i].enrolment.name, "n9");
        ops[4 + i].enrolment.hash[0] = (uint8_t)(i + 1);
        ops[4 + i].enrolment.created.ms = 1000;
        ops[4 + i].enrolment.expires.ms = 900000;
    }
    submit(f, ops, 6, 50);
    wait_for(f, 50);
    atomic_store(&f->durable, 0); /* make_site counts from there */
    make_place(f, &p);
    ops[0].key.revoked.ms = 2000;
    ops[2].agent.state = SL_AGENT_REVOKED;
    ops[2].agent.decided.ms = 2000;
    ops[4].enrolment.used.ms = 2000;
    submit(f, ops, 6, 51);
    wait_for(f, 51);
    sl_store_close(f->store);
    f->store = NULL;
    struct sl_restore_facts facts;
    if (restore(&p, LATER, &facts, &err)) {
        fail_msg("%s", err.text);
    }
    assert_true(facts.kept.known);
    assert_int_equal(facts.kept.keys, 1);
    assert_int_equal(facts.kept.agents, 1);
    assert_int_equal(facts.kept.tokens, 1);
    check_restored(&p, LATER);
    sqlite3 *db = open_raw(f->path);
    static const char sql[] =
        "SELECT (SELECT group_concat(id||':'||revoked_ms) FROM keys)||' '||"
        "(SELECT group_concat(id||':'||state||':'||decided_ms) FROM agents)||' '||"
        "(SELECT group_concat(id||':'||used_ms||':'||expires_ms) FROM enrolments)";
    sqlite3_stmt *stmt = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    char wanted[160];
    snprintf(wanted, sizeof wanted,
             "key_0:2000,key_1:0 AGENT-0:%d:2000,AGENT-1:%d:0 token_0:0:1000,token_1:0:900000",
             SL_AGENT_REVOKED, SL_AGENT_APPROVED);
    assert_string_equal((const char *)sqlite3_column_text(stmt, 0), wanted);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    forget_place(&p);
}

static void a_damaged_backup_changes_nothing(void **state) {
    struct fixture *f = *state;
    struct sl_restore_facts facts;
    struct sl_error err;
    struct place p;
    make_place(f, &p);
    sl_store_close(f->store);
    f->store = NULL;
    struct bytes before = load(f->path);
    FILE *file = fopen(p.file, "r+b");
    assert_non_null(file);
    fseek(file, 5000, SEEK_SET);
    fputc(1, file);
    fclose(file);
    assert_int_equal(restore(&p, LATER, &facts, &err), -SL_CORRUPT);
    assert_non_null(strstr(err.text, "nothing was restored"));
    struct bytes after = load(f->path);
    assert_true(after.size == before.size && memcmp(after.data, before.data, after.size) == 0);
    free(before.data);
    free(after.data);
    forget_place(&p);
}

/* ---- kills: every order of renames that the swap goes through, cut off after each ---- */

static void a_kill_before_the_decision_leaves_the_old(void **state) {
    struct fixture *f = *state;
    struct sl_restore_facts facts;
    struct sl_error err;
    struct place p;
    make_place(f, &p);
    sl_store_close(f->store);
    f->store = NULL;
    assert_int_equal(run_command("mkdir -p %s/restore.new/files && echo part > %s/restore.new/"
                                 "copy.db",
                                 f->dir, f->dir),
                     0);
    assert_int_equal(open_again(f, &err), SL_OK);
    SL_AUTO(sl_reader) r = NULL;
    int rows = 0;
    assert_int_equal(sl_reader_open(f->path, NULL, &r, &err), SL_OK);
    assert_int_equal(sl_reader_transfers(r, 0, 100, count_rows, &rows, &err), SL_OK);
    assert_int_equal(rows, 3);
    sl_store_close(f->store);
    f->store = NULL;
    assert_int_equal(restore(&p, LATER, &facts, &err), SL_OK);
    check_restored(&p, LATER);
    forget_place(&p);
}

/* The state after the decision, made by hand: restore.ready and the old data. */
static const char *const moves[] = {
    "mkdir -p aside.d && mv store.db-wal aside.d/",
    "mv store.db aside.d/",
    "mv files aside.d/",
    "mv lines aside.d/",
    "mv operator.key aside.d/",
    "mv restore.ready/store.db store.db",
    "mv restore.ready/files files",
    "mv restore.ready/lines lines",
    "mv restore.ready/operator.key operator.key",
    "echo closed > store.db.lock",
    "rm restore.ready/aside",
    "rmdir restore.ready",
};
#define MOVES (sizeof moves / sizeof moves[0])

static void a_kill_after_it_is_ended_by_the_next_start(void **state) {
    struct fixture *f = *state;
    struct sl_restore_facts facts;
    struct sl_error err;
    struct place p;
    char old[80];
    make_place(f, &p);
    snprintf(old, sizeof old, "%s.old", f->dir);
    assert_int_equal(run_command("cp -a %s %s", f->dir, old), 0); /* with a log: it was killed */
    sl_store_close(f->store);
    f->store = NULL;
    assert_int_equal(restore(&p, LATER, &facts, &err), SL_OK);
    for (size_t done = 0; done <= MOVES; done++) {
        char command[900];
        snprintf(command, sizeof command,
                 "rm -rf %s.now && cp -a %s %s.now && mkdir %s.now/restore.ready && "
                 "cp -a %s/store.db %s/files %s/lines %s/operator.key %s.now/restore.ready/ && "
                 "printf %s.now/aside.d > %s.now/restore.ready/aside",
                 f->dir, old, f->dir, f->dir, f->dir, f->dir, f->dir, f->dir, f->dir, f->dir,
                 f->dir);
        assert_int_equal(system(command), 0);
        char now[80];
        snprintf(now, sizeof now, "%s.now", f->dir);
        for (size_t i = 0; i < done; i++) {
            snprintf(command, sizeof command, "cd %s && %s", now, moves[i]);
            assert_int_equal(system(command), 0);
        }
        snprintf(command, sizeof command, "mkdir -p %s/files %s/lines", now, now);
        assert_int_equal(system(command), 0); /* a broker's start does so first */
        struct fixture g = {0};
        strcpy(g.dir, now);
        snprintf(g.path, sizeof g.path, "%s/store.db", now);
        struct place q = p;
        q.f = &g;
        check_restored(&q, LATER);
        snprintf(command, sizeof command, "%s/restore.ready", now);
        assert_int_not_equal(access(command, F_OK), 0);
        snprintf(command, sizeof command, "%s/aside.d/store.db", now);
        assert_int_equal(access(command, F_OK), 0);
    }
    assert_int_equal(run_command("rm -rf %s %s.now", old, f->dir), 0);
    forget_place(&p);
}

/* The wrong backup first, then the right one at once: what was there is kept twice. */
static void two_within_a_second_keep_both_pasts(void **state) {
    struct fixture *f = *state;
    struct sl_error err;
    struct sl_restore_facts first, second;
    struct place p;
    make_place(f, &p);
    sl_store_close(f->store);
    f->store = NULL;
    assert_int_equal(restore(&p, LATER, &first, &err), SL_OK);
    if (restore(&p, LATER + 5, &second, &err)) {
        fail_msg("%s", err.text);
    }
    assert_string_not_equal(first.aside, second.aside);
    assert_int_equal(
        run_command("test -f %s/store.db && test -f %s/store.db", first.aside, second.aside), 0);
    check_restored(&p, LATER + 5);
    forget_place(&p);
}

int main(void) {
#define RESTORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        RESTORE_TEST(the_past_comes_back_and_numbers_go_on),
        RESTORE_TEST(into_an_empty_place_and_over_damage),
        RESTORE_TEST(the_log_of_the_old_store_goes_with_it),
        RESTORE_TEST(another_site_is_refused_until_it_is_adopted),
        RESTORE_TEST(what_was_revoked_since_stays_revoked),
        RESTORE_TEST(a_damaged_backup_changes_nothing),
        RESTORE_TEST(a_kill_before_the_decision_leaves_the_old),
        RESTORE_TEST(a_kill_after_it_is_ended_by_the_next_start),
        RESTORE_TEST(two_within_a_second_keep_both_pasts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
