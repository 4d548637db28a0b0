/* SPDX-License-Identifier: Apache-2.0
 * The agent's configuration: the sample is sound, each mistake is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/shell/config.h"

#define HEAD                                                                                       \
    "node: n1\ndata_dir: /tmp/x\nbroker:\n  server_key: "                                          \
    "\"f#=8[SP]3sS%v#c[hmrHfcBg?Z/&2Ctg4B6!w9NI\""                                                 \
    "\n  key_file: /tmp/k\n"

static int read_text(const char *text, struct sl_agent_options *ret_options, struct sl_error *err) {
    char path[] = "/tmp/sluice-agent-conf-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    int rc = sl_agent_options_read(path, ret_options, err);
    unlink(path);
    return rc;
}

static void the_sample_is_sound(void **state) {
    (void)state;
    struct sl_agent_options options;
    struct sl_error err = {0};
    if (sl_agent_options_read(SLUICE_SOURCE_DIR "/deploy/config/agent.yaml", &options, &err)) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(options.model_count, 1);
    assert_int_equal(options.models[0].max_tokens, 256);
    assert_int_equal(options.safe_mode, 1);
    assert_int_equal(options.launch_ms, 50);
}

static void a_pinned_model(void **state) {
    (void)state;
    struct sl_agent_options options;
    struct sl_error err = {0};
#define PINNED(digits) HEAD "models:\n  - id: m\n    path: /m.gguf\n    sha256: \"" digits "\"\n"
#define SIXTEEN "0123456789abcDEF"
    assert_int_equal(read_text(PINNED(SIXTEEN SIXTEEN SIXTEEN SIXTEEN), &options, &err), 0);
    assert_int_equal(strlen(options.models[0].sha256), 64);
    assert_int_equal(read_text(PINNED(SIXTEEN SIXTEEN SIXTEEN "0123"), &options, &err),
                     -SL_INVALID);
    assert_non_null(strstr(err.text, "64 hexadecimal digits"));
    assert_int_equal(read_text(PINNED(SIXTEEN SIXTEEN SIXTEEN "0123456789abcdeg"), &options, &err),
                     -SL_INVALID);
}

static void defaults_and_figures(void **state) {
    (void)state;
    struct sl_agent_options options;
    struct sl_error err = {0};
    assert_int_equal(read_text(HEAD "devices:\n  split_cpu: 2\n  rated_watts:\n    hash: 65.5\n",
                               &options, &err),
                     0);
    assert_string_equal(options.broker_endpoint, "tcp://127.0.0.1:7600");
    assert_int_equal(options.rated_mw[SL_MODE_HASH], 65500);
    assert_true(options.rated_mw[SL_MODE_IDLE] < 0); /* not rated is unknown, never zero */
    assert_int_equal(options.split_cpu, 2);
    assert_string_equal(options.pool.url, "");
}

#define POOLS "pools:\n  - {name: a, url: 'stratum+tcp://a:1',\n     user: u}\n"

static void mistakes_are_named(void **state) {
    (void)state;
    static const struct {
        const char *text;
        const char *wanted;
    } cases[] = {
        {HEAD "devices:\n  rated_watts:\n    hash: 65 kW\n", ":8: "},
        {HEAD "devices:\n  split_cpu: 010\n", ":7: "},
        {HEAD "devices:\n  gpu: maybe\n", ":7: "},
        {HEAD "launch: 80x\n", ":6: "},
        {HEAD "lunch: 50ms\n", "lunch"},
        {HEAD "pool:\n  url: stratum2+tcp://a:1\n  user: u\n", ":7: pool.url"},
        {HEAD "pool:\n  url: stratum+tcp://a:1\n", ":6: pool.user"},
        {HEAD "pool:\n  user: u\n  fallback_urls: stratum+tcp://a:1\n", ":6: pool.url is missing"},
        {HEAD "pool:\n  url: stratum+tcp://a:1\n  user: u\n  fallback_urls: x\n",
         ":9: pool.fallback_urls"},
        {HEAD "pool:\n  url: stratum+tcp://a:1\n  user: u\n  suggest_difficulty: often\n",
         ":9: pool.suggest_difficulty"},
        {HEAD "pool:\n  url: stratum+tcp://a:1\n  user: u\n  tls_ca_file: /x\n",
         ":6: pool: tls_pins and tls_ca_file"},
        {HEAD POOLS "  - name: b\n    url: x\n    user: u\n", ":10: pools[1].url"},
        {HEAD POOLS "  - name: a\n    url: stratum+tcp://b:1\n    user: u\n",
         ":9: pools[1].name: two pools are called 'a'"},
        {HEAD POOLS "  - name: b\n    url: stratum+tcp://b:1\n    proxy_user: u\n",
         ":9: pools[1].proxy is missing"},
        {HEAD POOLS "  - name: b\n    url: stratum+tcp://b:1\n    user: '{x}'\n",
         ":11: pools[1].user: '{x}' is no placeholder"},
        {HEAD POOLS "pool:\n  url: stratum+tcp://b:1\n  user: u\n", ":6: pools: there are both"},
        {HEAD "devices:\n  gpu: false\n  cpu: never\n", ":8: devices.cpu and"},
        {HEAD "models:\n  - id: a\n    path: /x\n  - id: a\n    path: /y\n",
         ":9: models[1].id: two models"},
        {"node: a/b\ndata_dir: /x\nbroker:\n  key_file: /k\n  server_key: "
         "\"f#=8[SP]3sS%v#c[hmrHfcBg?Z/&2Ctg4B6!w9NI\"\n",
         "node"},
        {"node: a\ndata_dir: /x\nbroker:\n  key_file: /k\n  server_key: "
         "\"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\"\n",
         "example key"},
        {"node: a\ndata_dir: /x\nbroker:\n  key_file: /k\n", "server_key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_agent_options options;
        struct sl_error err = {0};
        int rc = read_text(cases[i].text, &options, &err);
        if (rc == SL_OK || !strstr(err.text, cases[i].wanted)) {
            fail_msg("case %zu: %d %s", i, rc, err.text);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_is_sound),
        cmocka_unit_test(a_pinned_model),
        cmocka_unit_test(defaults_and_figures),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
