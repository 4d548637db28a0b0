/* SPDX-License-Identifier: Apache-2.0
 * The broker section of agent.yaml, put in or replaced: the rest stays byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/shell/join_config.h"

#define KEY "5JMDv&$(8Oe}&s9+/^qSs[CZvW/HbJL^Mc]JPDmi"
#define SECTION                                                                                    \
    "broker:\n  endpoint: tcp://10.0.0.5:7600\n  server_key: \"" KEY "\"\n  key_file: /k\n"

static void expect(const char *text, const char *wanted) {
    SL_AUTO_BUF struct sl_buf out = {0};
    sl_join_config_edit(text, "n1", SECTION, &out);
    assert_string_equal(out.data, wanted);
}

static void only_the_section_changes(void **state) {
    (void)state;
    expect("", "node: n1\n" SECTION);
    expect("# mine\nnode: n1", "# mine\nnode: n1\n" SECTION);
    expect("node: n1 # here\nbroker:\n  endpoint: x\n\n  # inside\n  key_file: y\n\n# of the pool\n"
           "pool:\n  url: z\n",
           "node: n1 # here\n" SECTION "\n# of the pool\npool:\n  url: z\n");
    expect("broker: {endpoint: x}\nnode: n1\n", SECTION "node: n1\n");
    expect("node: n1\nmodels:\n  - id: broker:\n", "node: n1\nmodels:\n  - id: broker:\n" SECTION);
}

static void facts_are_read(void **state) {
    (void)state;
    struct sl_join_facts facts;
    sl_join_facts_read("node: 'n 1' # x\ndata_dir: /var/lib\nbroker:\n  server_key: \"" KEY
                       "\" # old\n  key_file: /etc/k\npool:\n  key_file: /not/this\n",
                       &facts);
    assert_string_equal(facts.node, "n 1");
    assert_string_equal(facts.data_dir, "/var/lib");
    assert_string_equal(facts.server_key, KEY);
    assert_string_equal(facts.key_file, "/etc/k");
    sl_join_facts_read("node: n1\t# x\ndata_dir:  /srv/my data#1 \t\n", &facts);
    assert_string_equal(facts.node, "n1");
    assert_string_equal(facts.data_dir, "/srv/my data#1");
    sl_join_facts_read("node: # x\n", &facts);
    assert_string_equal(facts.node, "");
    sl_join_facts_read("", &facts);
    assert_string_equal(facts.node, "");
}

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void what_would_not_be_good_is_not_written(void **state) {
    (void)state;
    char path[] = "/tmp/sluice-join-config-XXXXXX";
    struct sl_error err;
    struct stat st;
    int fd = mkstemp(path);
    assert_true(fd >= 0 && close(fd) == 0);
    write_text(path, "data_dir: /tmp/x\npool:\n  url: nonsense\n");
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_not_equal(sl_join_config_save(path, "n1", SECTION, &err), SL_OK);
    assert_non_null(strstr(err.text, "would not be good"));
    SL_AUTO_BUF struct sl_buf kept = {0};
    assert_int_equal(sl_join_config_load(path, &kept, &err), SL_OK);
    assert_string_equal(kept.data, "data_dir: /tmp/x\npool:\n  url: nonsense\n");
    assert_int_not_equal(sl_join_config_check(path, "n1", SECTION, &err), SL_OK);
    write_text(path, "data_dir: /tmp/x\n");
    assert_int_equal(sl_join_config_check(path, "n1", SECTION, &err), SL_OK);
    SL_AUTO_BUF struct sl_buf only_judged = {0};
    assert_int_equal(sl_join_config_load(path, &only_judged, &err), SL_OK);
    assert_string_equal(only_judged.data, "data_dir: /tmp/x\n");
    assert_int_equal(sl_join_config_save(path, "n1", SECTION, &err), SL_OK);
    SL_AUTO_BUF struct sl_buf text = {0};
    assert_int_equal(sl_join_config_load(path, &text, &err), SL_OK);
    assert_string_equal(text.data, "node: n1\ndata_dir: /tmp/x\n" SECTION);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    unlink(path);
    assert_int_equal(sl_join_config_load(path, &text, &err), -SL_NOTFOUND);
}

/* As operating.md has it: root:sluice-agent and 0640, and root joins. */
static void the_agents_user_can_read_it_afterwards(void **state) {
    (void)state;
    char path[] = "/tmp/sluice-join-config-XXXXXX";
    struct sl_error err;
    struct stat st;
    if (geteuid() != 0) {
        skip();
    }
    int fd = mkstemp(path);
    assert_true(fd >= 0 && close(fd) == 0);
    write_text(path, "data_dir: /tmp/x\n");
    assert_true(chown(path, 12345, 12346) == 0 && chmod(path, 0640) == 0);
    assert_int_equal(sl_join_config_save(path, "n1", SECTION, &err), SL_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 12345);
    assert_int_equal(st.st_gid, 12346);
    assert_int_equal(st.st_mode & 07777, 0640);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_section_changes),
        cmocka_unit_test(facts_are_read),
        cmocka_unit_test(what_would_not_be_good_is_not_written),
        cmocka_unit_test(the_agents_user_can_read_it_afterwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
