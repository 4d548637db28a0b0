/* SPDX-License-Identifier: Apache-2.0
 * A device that hangs: preloaded into the agent, calls that wait for OpenCL's work never return in
 * the thread whose name ("device 0") stands in the file that SLUICE_HANG names. While there is no
 * such file, everything is as ever. */
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static bool is_hung(void) {
    char text[32] = "";
    char name[16] = "";
    const char *path = getenv("SLUICE_HANG");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) {
        return false;
    }
    ssize_t n = read(file, text, sizeof text - 1);
    close(file);
    return n > 0 && prctl(PR_GET_NAME, name) == 0 && strcmp(name, text) == 0;
}

static void *real(const char *call) {
    void *symbol = dlsym(RTLD_NEXT, call);
    if (!symbol) {
        abort();
    }
    while (is_hung()) {
        pause();
    }
    return symbol;
}

EXPORT cl_int clWaitForEvents(cl_uint count, const cl_event *events) {
    union {
        void *symbol;
        cl_int (*call)(cl_uint, const cl_event *);
    } wait = {real("clWaitForEvents")};
    return wait.call(count, events);
}

EXPORT cl_int clFinish(cl_command_queue queue) {
    union {
        void *symbol;
        cl_int (*call)(cl_command_queue);
    } finish = {real("clFinish")};
    return finish.call(queue);
}
