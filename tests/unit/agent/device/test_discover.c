/* SPDX-License-Identifier: Apache-2.0
 * Discovery on this machine. Each case is a process of its own where the ICD loader's state
 * matters: it reads its folder once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/device/discover.h"

static struct sl_discover_config usual(void) {
    return (struct sl_discover_config){.node = "node-7",
                                       .cache_dir = SLUICE_BINARY_DIR "/test-cache",
                                       .cpu = SL_CPU_USE_AUTO,
                                       .gpus = true};
}

/* Runs `check` in a child, whose exit status is the result: 0 is good. */
static void in_child(int (*check)(void)) {
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        _exit(check());
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int check_no_platform(void) {
    struct sl_error err = {0};
    struct sl_discovery *found = NULL;
    struct sl_discover_config config = usual();
    setenv("OCL_ICD_VENDORS", "/nonexistent", 1);
    int rc = sl_discover(&config, &found, &err);
    if (rc != -SL_NOTFOUND || found) {
        return 1;
    }
    return strstr(err.text, "pocl-opencl-icd") ? 0 : 2;
}

static int check_nothing_allowed(void) {
    struct sl_error err = {0};
    struct sl_discovery *found = NULL;
    struct sl_discover_config config = usual();
    config.cpu = SL_CPU_USE_NEVER;
    config.gpus = false;
    int rc = sl_discover(&config, &found, &err);
    return rc == -SL_NOTFOUND && !found && strstr(err.text, "config") ? 0 : 1;
}

static int check_whole(void) {
    struct sl_error err = {0};
    struct sl_discovery *found = NULL;
    struct sl_discover_config config = usual();
    if (sl_discover(&config, &found, &err) != SL_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    int rc = sl_discovery_count(found) > 0 ? 0 : 2;
    for (uint32_t i = 0; i < sl_discovery_count(found); i++) {
        const struct sl_device_info *info = sl_discovery_info(found, i);
        if (info->key[0] == '\0' || info->name[0] == '\0' || info->driver[0] == '\0' ||
            info->compute_units == 0 || info->memory_bytes == 0 || info->max_alloc_mib == 0) {
            rc = 3;
        }
        if (info->is_cpu && strncmp(info->key, "node-7/", 7) != 0) {
            rc = 4;
        }
    }
    struct stat cache;
    if (stat(SLUICE_BINARY_DIR "/test-cache/pocl", &cache) != 0 || (cache.st_mode & 077)) {
        rc = 5;
    }
    sl_discovery_destroy(found);
    return rc;
}

static int check_split(void) {
    struct sl_error err = {0};
    struct sl_discovery *found = NULL;
    struct sl_discover_config config = usual();
    config.cpu = SL_CPU_USE_ALWAYS;
    config.gpus = false;
    if (sl_discover(&config, &found, &err) != SL_OK) {
        return err.status == -SL_NOTFOUND ? 0 : 1; /* no CPU device here */
    }
    uint32_t units = sl_discovery_info(found, 0)->compute_units;
    sl_discovery_destroy(found);
    found = NULL;
    config.split_cpu = units < 2 ? 1 : units > 32 ? 32 : units;
    if (sl_discover(&config, &found, &err) != SL_OK) {
        return 2;
    }
    uint32_t sum = 0;
    int rc = sl_discovery_count(found) == config.split_cpu ? 0 : 3;
    for (uint32_t i = 0; i < sl_discovery_count(found); i++) {
        const struct sl_device_info *info = sl_discovery_info(found, i);
        const char *end = strrchr(info->key, '/');
        sum += info->compute_units;
        rc = end && strtoul(end + 1, NULL, 10) == i ? rc : 4;
    }
    rc = sum == units ? rc : 5;
    sl_discovery_destroy(found);
    found = NULL;
    config.split_cpu = 33;
    rc = sl_discover(&config, &found, &err) == -SL_INVALID && !found ? rc : 6;
    return rc;
}

static int check_too_long(void) {
    struct sl_error err = {0};
    struct sl_discovery *found = NULL;
    struct sl_discover_config config = usual();
    char node[200];
    memset(node, 'n', sizeof node - 1);
    node[sizeof node - 1] = '\0';
    config.node = node;
    return sl_discover(&config, &found, &err) == -SL_LIMIT && !found ? 0 : 1;
}

static void without_a_platform_it_says_what_to_install(void **state) {
    (void)state;
    in_child(check_no_platform);
}
static void a_config_that_allows_nothing_is_told_so(void **state) {
    (void)state;
    in_child(check_nothing_allowed);
}
static void devices_are_found_whole(void **state) {
    (void)state;
    in_child(check_whole);
}
static void a_cpu_is_split_without_rest(void **state) {
    (void)state;
    in_child(check_split);
}
static void an_over_long_node_id_is_refused(void **state) {
    (void)state;
    in_child(check_too_long);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_platform_it_says_what_to_install),
        cmocka_unit_test(a_config_that_allows_nothing_is_told_so),
        cmocka_unit_test(devices_are_found_whole),
        cmocka_unit_test(a_cpu_is_split_without_rest),
        cmocka_unit_test(an_over_long_node_id_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
