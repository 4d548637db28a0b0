/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/device/cl.h"

#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "proto/base/text.h"

const char *sl_cl_error_name(cl_int code) {
    static const struct {
        cl_int code;
        const char *name;
    } names[] = {
        {0, "CL_SUCCESS"},
        {-1, "CL_DEVICE_NOT_FOUND"},
        {-2, "CL_DEVICE_NOT_AVAILABLE"},
        {-3, "CL_COMPILER_NOT_AVAILABLE"},
        {-4, "CL_MEM_OBJECT_ALLOCATION_FAILURE"},
        {-5, "CL_OUT_OF_RESOURCES"},
        {-6, "CL_OUT_OF_HOST_MEMORY"},
        {-7, "CL_PROFILING_INFO_NOT_AVAILABLE"},
        {-8, "CL_MEM_COPY_OVERLAP"},
        {-11, "CL_BUILD_PROGRAM_FAILURE"},
        {-12, "CL_MAP_FAILURE"},
        {-13, "CL_MISALIGNED_SUB_BUFFER_OFFSET"},
        {-14, "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST"},
        {-15, "CL_COMPILE_PROGRAM_FAILURE"},
        {-16, "CL_LINKER_NOT_AVAILABLE"},
        {-17, "CL_LINK_PROGRAM_FAILURE"},
        {-18, "CL_DEVICE_PARTITION_FAILED"},
        {-19, "CL_KERNEL_ARG_INFO_NOT_AVAILABLE"},
        {-30, "CL_INVALID_VALUE"},
        {-31, "CL_INVALID_DEVICE_TYPE"},
        {-32, "CL_INVALID_PLATFORM"},
        {-33, "CL_INVALID_DEVICE"},
        {-34, "CL_INVALID_CONTEXT"},
        {-35, "CL_INVALID_QUEUE_PROPERTIES"},
        {-36, "CL_INVALID_COMMAND_QUEUE"},
        {-37, "CL_INVALID_HOST_PTR"},
        {-38, "CL_INVALID_MEM_OBJECT"},
        {-42, "CL_INVALID_BINARY"},
        {-43, "CL_INVALID_BUILD_OPTIONS"},
        {-44, "CL_INVALID_PROGRAM"},
        {-45, "CL_INVALID_PROGRAM_EXECUTABLE"},
        {-46, "CL_INVALID_KERNEL_NAME"},
        {-47, "CL_INVALID_KERNEL_DEFINITION"},
        {-48, "CL_INVALID_KERNEL"},
        {-49, "CL_INVALID_ARG_INDEX"},
        {-50, "CL_INVALID_ARG_VALUE"},
        {-51, "CL_INVALID_ARG_SIZE"},
        {-52, "CL_INVALID_KERNEL_ARGS"},
        {-53, "CL_INVALID_WORK_DIMENSION"},
        {-54, "CL_INVALID_WORK_GROUP_SIZE"},
        {-55, "CL_INVALID_WORK_ITEM_SIZE"},
        {-56, "CL_INVALID_GLOBAL_OFFSET"},
        {-57, "CL_INVALID_EVENT_WAIT_LIST"},
        {-58, "CL_INVALID_EVENT"},
        {-59, "CL_INVALID_OPERATION"},
        {-61, "CL_INVALID_BUFFER_SIZE"},
        {-63, "CL_INVALID_GLOBAL_WORK_SIZE"},
        {-64, "CL_INVALID_PROPERTY"},
        {-68, "CL_INVALID_DEVICE_PARTITION_COUNT"},
        {-1001, "CL_PLATFORM_NOT_FOUND_KHR"},
        {-9999, "driver-specific (illegal access or lost device)"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].code == code) {
            return names[i].name;
        }
    }
    return "unknown OpenCL error";
}

int sl_cl_fail(struct sl_error *err, cl_int code, const char *what) {
    return sl_fail(err, SL_DEVICE, "%s: %s (%d)", what, sl_cl_error_name(code), (int)code);
}

/* OpenCL refuses to fill a buffer that is too small, so the whole text is read first. */
void sl_cl_device_text(cl_device_id device, cl_device_info what, char *ret_text, size_t size) {
    size_t need = 0;
    ret_text[0] = '\0';
    if (clGetDeviceInfo(device, what, 0, NULL, &need) != CL_SUCCESS || need == 0) {
        return;
    }
    SL_AUTO_FREE char *text = calloc(1, need + 1);
    if (text && clGetDeviceInfo(device, what, need, text, NULL) == CL_SUCCESS) {
        sl_text_copy(ret_text, size, text);
    }
}

void sl_cl_platform_text(cl_platform_id platform, cl_platform_info what, char *ret_text,
                         size_t size) {
    size_t need = 0;
    ret_text[0] = '\0';
    if (clGetPlatformInfo(platform, what, 0, NULL, &need) != CL_SUCCESS || need == 0) {
        return;
    }
    SL_AUTO_FREE char *text = calloc(1, need + 1);
    if (text && clGetPlatformInfo(platform, what, need, text, NULL) == CL_SUCCESS) {
        sl_text_copy(ret_text, size, text);
    }
}
