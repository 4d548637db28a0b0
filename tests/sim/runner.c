/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/runner.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/mutant.h"
#include "proto/base/text.h"

struct place {
    pid_t pid; /* 0: free */
    uint64_t tag;
    struct sim_options options;
    struct sim_result *result; /* shared with the child */
};

struct sim_runner {
    uint32_t jobs;
    sim_done_fn done;
    void *arg;
    bool stopped;
    struct place places[]; /* [jobs] */
};

struct sim_runner *sim_runner_create(uint32_t jobs, sim_done_fn done, void *arg) {
    struct sim_runner *runner = calloc(1, sizeof *runner + jobs * sizeof runner->places[0]);
    sl_assert(runner);
    runner->jobs = jobs;
    runner->done = done;
    runner->arg = arg;
    for (uint32_t i = 0; i < jobs; i++) {
        void *memory = mmap(NULL, sizeof(struct sim_result), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        sl_assert(memory != MAP_FAILED);
        runner->places[i].result = memory;
    }
    return runner;
}

static void run_in_child(const struct place *place, const char *mutant) {
#ifdef SLUICE_MUTANTS
    if (mutant && (sl_mutant_choose(mutant, NULL) != SL_OK || !freopen("/dev/null", "w", stderr))) {
        _exit(3); /* what a mutant says when it dies is of no interest */
    }
#else
    (void)mutant;
#endif
    alarm(SIM_RUN_SECONDS_MAX);
    sim_run(&place->options, place->result);
    fflush(NULL);
    _exit(0);
}

/* The child's end as a result: a run that did not come to its end broke the rule "alive". */
static void judge_end(struct sim_result *result, int status) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return;
    }
    result->ok = false;
    sl_text_copy(result->rule, sizeof result->rule, "alive");
    if (WIFSIGNALED(status)) {
        snprintf(result->broken, sizeof result->broken, "%s",
                 WTERMSIG(status) == SIGALRM ? "the run does not end"
                                             : strsignal(WTERMSIG(status)));
    } else {
        snprintf(result->broken, sizeof result->broken, "the run ended with %d",
                 WEXITSTATUS(status));
    }
}

static void wait_one(struct sim_runner *runner) {
    int status = 0;
    pid_t pid = wait(&status);
    for (uint32_t i = 0; i < runner->jobs; i++) {
        struct place *place = &runner->places[i];
        if (place->pid != 0 && place->pid == pid) {
            place->pid = 0;
            judge_end(place->result, status);
            runner->stopped |=
                !runner->done(runner->arg, place->tag, &place->options, place->result);
            return;
        }
    }
    sl_assert(pid > 0);
}

static struct place *free_place(struct sim_runner *runner) {
    for (uint32_t i = 0; i < runner->jobs; i++) {
        if (runner->places[i].pid == 0) {
            return &runner->places[i];
        }
    }
    return NULL;
}

bool sim_runner_start(struct sim_runner *runner, uint64_t tag, const struct sim_options *options,
                      const char *mutant) {
    while (!runner->stopped && !free_place(runner)) {
        wait_one(runner);
    }
    if (runner->stopped) {
        return false;
    }
    struct place *place = free_place(runner);
    place->tag = tag;
    place->options = *options;
    memset(place->result, 0, sizeof *place->result);
    fflush(NULL);
    place->pid = fork();
    sl_assert(place->pid >= 0);
    if (place->pid == 0) {
        run_in_child(place, mutant);
    }
    return true;
}

void sim_runner_finish(struct sim_runner *runner) {
    for (uint32_t i = 0; i < runner->jobs;) {
        if (runner->places[i].pid != 0) {
            wait_one(runner);
        } else {
            i++;
        }
    }
    for (uint32_t i = 0; i < runner->jobs; i++) {
        munmap(runner->places[i].result, sizeof(struct sim_result));
    }
    free(runner);
}

static bool keep(void *arg, uint64_t tag, const struct sim_options *options,
                 const struct sim_result *result) {
    (void)tag;
    (void)options;
    *(struct sim_result *)arg = *result;
    return true;
}

double sim_seconds_since(struct sl_mono then) {
    return (double)sl_mono_since_ns(sl_clock_mono(), then) / 1e9;
}

void sim_run_apart(const struct sim_options *options, const char *mutant,
                   struct sim_result *ret_result) {
    struct sim_runner *runner = sim_runner_create(1, keep, ret_result);
    sim_runner_start(runner, 0, options, mutant);
    sim_runner_finish(runner);
}
