/* SPDX-License-Identifier: Apache-2.0
 * The real program on a real socket, with the agent's Stratum client in front of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/stratum/client.h"
#include "proto/base/text.h"

#define POOL SLUICE_BINARY_DIR "/tests/pool/sluice-test-pool"

struct run {
    char dir[64], port_file[96], log[96];
    pid_t pid;
    uint16_t port;
};

/* Starts the pool on a port (0: any) and waits for its port file. */
static void start_pool(struct run *run, uint16_t port) {
    char number[8];
    snprintf(number, sizeof number, "%u", port);
    unlink(run->port_file);
    run->pid = fork();
    assert_true(run->pid >= 0);
    if (run->pid == 0) {
        execl(POOL, POOL, "--port", number, "--port-file", run->port_file, "--log", run->log,
              "--difficulty", "1e-7", "--clean-every", "150ms", "--notify-every", "40ms",
              (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 1000; i++) {
        FILE *file = fopen(run->port_file, "r");
        if (file) {
            unsigned got = 0;
            assert_int_equal(fscanf(file, "%u", &got), 1);
            fclose(file);
            run->port = (uint16_t)got;
            return;
        }
        usleep(10000);
    }
    fail_msg("no port file");
}

static int end_pool(struct run *run, int number) {
    int status = 0;
    kill(run->pid, number);
    assert_int_equal(waitpid(run->pid, &status, 0), run->pid);
    return status;
}

static void make_dir(struct run *run) {
    *run = (struct run){.dir = "/tmp/sluice-pool-XXXXXX"};
    assert_non_null(mkdtemp(run->dir));
    snprintf(run->port_file, sizeof run->port_file, "%s/port", run->dir);
    snprintf(run->log, sizeof run->log, "%s/shares.jsonl", run->dir);
}

static void remove_dir(struct run *run) {
    unlink(run->port_file);
    unlink(run->log);
    assert_int_equal(rmdir(run->dir), 0); /* no temporary file was left */
}

static int dial(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

struct miner {
    struct sl_stratum *client;
    uint16_t port;
    int fd;
    struct sl_job *job;
    struct sl_work_cursor cursor;
    uint64_t seq;
    int outcomes[SL_ANSWER_UNKNOWN + 1];
};

static void act(struct miner *miner, const struct sl_stratum_action *action) {
    if (action->type == SL_STRATUM_CONNECT) {
        miner->fd = dial(miner->port);
        if (miner->fd >= 0) {
            sl_stratum_connected(miner->client, sl_clock_mono());
        } else {
            sl_stratum_disconnected(miner->client, "connection refused", sl_clock_mono());
        }
    } else if (action->type == SL_STRATUM_SEND && miner->fd >= 0) {
        (void)!send(miner->fd, action->data, action->size, MSG_NOSIGNAL); /* reading shows it */
    } else if (action->type == SL_STRATUM_CLOSE) {
        close(miner->fd);
        miner->fd = -1;
    } else if (action->type == SL_STRATUM_JOB) {
        sl_job_unref(miner->job);
        miner->job = sl_job_ref(action->job);
    } else if (action->type == SL_STRATUM_SHARE) {
        miner->outcomes[action->outcome]++;
    }
}

static void turn(struct miner *miner, int wait_ms) {
    struct sl_stratum_action action;
    struct pollfd pollfd = {.fd = miner->fd, .events = POLLIN};
    if (poll(&pollfd, 1, wait_ms) > 0) {
        char bytes[4096];
        ssize_t n = recv(miner->fd, bytes, sizeof bytes, 0);
        if (n > 0) {
            sl_stratum_received(miner->client, bytes, (size_t)n, sl_clock_mono());
        } else {
            close(miner->fd);
            miner->fd = -1;
            sl_stratum_disconnected(miner->client, "closed", sl_clock_mono());
        }
    }
    sl_stratum_timer(miner->client, sl_clock_mono());
    while (sl_stratum_take(miner->client, &action)) {
        act(miner, &action);
    }
}

static void mine_until(struct miner *miner, int accepted) {
    for (int turns = 0; turns < 20000 && miner->outcomes[SL_ANSWER_ACCEPTED] < accepted; turns++) {
        struct sl_stratum_status status;
        struct sl_work work;
        struct sl_share share;
        uint8_t hash[32];
        sl_stratum_status(miner->client, &status);
        if (miner->job && status.state == SL_STRATUM_READY &&
            sl_work_next(&miner->cursor, miner->job, &work, NULL) == SL_OK) {
            for (uint32_t nonce = 0; nonce < 400; nonce++) {
                sl_work_hash(&work, nonce, hash);
                if (sl_hash_meets(hash, &work.target)) {
                    sl_share_from_work(&work, nonce, ++miner->seq, &share);
                    assert_int_equal(
                        sl_stratum_submit(miner->client, &share, sl_clock_mono(), NULL), SL_OK);
                }
            }
        }
        turn(miner, status.state == SL_STRATUM_READY ? 1 : 5);
    }
    assert_true(miner->outcomes[SL_ANSWER_ACCEPTED] >= accepted);
}

static int count_lines(const char *path, const char *part) {
    FILE *file = fopen(path, "r");
    char line[500];
    int count = 0;
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        assert_true(line[strlen(line) - 1] == '\n');
        count += strstr(line, part) != NULL;
    }
    fclose(file);
    return count;
}

static void start_miner(struct miner *miner, uint16_t port) {
    struct sl_stratum_config config;
    *miner = (struct miner){.port = port, .fd = -1};
    sl_stratum_config_defaults(&config);
    strcpy(config.url.host, "127.0.0.1");
    config.url.port = port;
    strcpy(config.user, "w");
    config.backoff_min_ms = 20;
    config.backoff_max_ms = 100;
    assert_int_equal(sl_stratum_create(&config, 9, &miner->client, NULL), SL_OK);
    assert_int_equal(sl_work_cursor_init(&miner->cursor, 0, 1, NULL), SL_OK);
    sl_stratum_start(miner->client, sl_clock_mono());
}

static void end_miner(struct miner *miner) {
    struct sl_stratum_action action;
    sl_stratum_stop(miner->client, sl_clock_mono());
    while (sl_stratum_take(miner->client, &action)) {
        act(miner, &action);
    }
    sl_stratum_destroy(miner->client);
    sl_job_unref(miner->job);
}

/* 300 shares over several blocks, the pool killed in between and started again on its port. */
static void shares_survive_the_pools_death(void **state) {
    (void)state;
    struct run run;
    struct miner miner;
    make_dir(&run);
    start_pool(&run, 0);
    start_miner(&miner, run.port);
    mine_until(&miner, 150);
    assert_true(WIFSIGNALED(end_pool(&run, SIGKILL)));
    uint16_t port = run.port;
    start_pool(&run, port);
    assert_int_equal(run.port, port);
    mine_until(&miner, 300);
    /* Let the last answers in, then compare the two books. */
    for (int i = 0; i < 50; i++) {
        turn(&miner, 5);
    }
    int accepted = count_lines(run.log, "\"result\":\"accepted\"");
    assert_true(miner.outcomes[SL_ANSWER_ACCEPTED] <= accepted);
    assert_true(accepted <= miner.outcomes[SL_ANSWER_ACCEPTED] + miner.outcomes[SL_ANSWER_UNKNOWN]);
    assert_int_equal(count_lines(run.log, "\"result\":\"rejected\""), 0);
    assert_int_equal(miner.outcomes[SL_ANSWER_REJECTED], 0);
    end_miner(&miner);
    int status = end_pool(&run, SIGTERM);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    remove_dir(&run);
}

static void a_port_in_use_is_said(void **state) {
    (void)state;
    struct run run;
    make_dir(&run);
    start_pool(&run, 0);
    char command[300], line[400] = "";
    snprintf(command, sizeof command, "%s --port %u 2>&1", POOL, run.port);
    FILE *other = popen(command, "r");
    assert_non_null(other);
    bool said = false;
    while (fgets(line, sizeof line, other)) {
        said = said || strstr(line, "cannot be opened: address already in use");
    }
    int status = pclose(other);
    assert_true(said);
    assert_int_equal(WEXITSTATUS(status), 1);
    /* Connections that say nothing, or break off in the middle, do not keep it from ending. */
    int idle = dial(run.port);
    int half = dial(run.port);
    assert_true(idle >= 0 && half >= 0);
    assert_int_equal(send(half, "{\"id\":1,", 8, MSG_NOSIGNAL), 8);
    close(half);
    status = end_pool(&run, SIGTERM);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(idle);
    remove_dir(&run);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_survive_the_pools_death),
        cmocka_unit_test(a_port_in_use_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
