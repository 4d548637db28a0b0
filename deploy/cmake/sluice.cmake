# Shared build rules: flags, sanitizers, one library per folder, one executable per unit test.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON) # __int128, cleanup attribute
set(CMAKE_C_VISIBILITY_PRESET hidden)
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

add_library(sluice_flags INTERFACE)
target_include_directories(sluice_flags INTERFACE ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
target_compile_definitions(sluice_flags INTERFACE _GNU_SOURCE SLUICE_VERSION="${PROJECT_VERSION}")
# -ffp-contract=off: the same estimate on every compiler (design 5).
target_compile_options(sluice_flags INTERFACE
  -Wall -Wextra -Wshadow -Wformat=2 -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wundef
  -Wpointer-arith -Wwrite-strings -Wswitch-enum -Wconversion -Wno-sign-conversion -Wfloat-conversion
  -fno-common -ffp-contract=off -fno-strict-aliasing -fstack-protector-strong)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  # Texts for people are cut on purpose (sl_error, log lines).
  target_compile_options(sluice_flags INTERFACE -Wno-format-truncation)
endif()
if(SLUICE_WERROR)
  target_compile_options(sluice_flags INTERFACE -Werror)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  target_compile_options(sluice_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  target_link_options(sluice_flags INTERFACE -Wl,-z,relro -Wl,-z,now)
endif()
if(SLUICE_SANITIZE STREQUAL "address")
  target_compile_options(sluice_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(sluice_flags INTERFACE -fsanitize=address,undefined)
  target_compile_definitions(sluice_flags INTERFACE SLUICE_EXPECT_ASAN=1)
elseif(SLUICE_SANITIZE STREQUAL "thread")
  target_compile_options(sluice_flags INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(sluice_flags INTERFACE -fsanitize=thread)
  target_compile_definitions(sluice_flags INTERFACE SLUICE_EXPECT_TSAN=1)
elseif(SLUICE_SANITIZE)
  message(FATAL_ERROR "SLUICE_SANITIZE must be address, thread or empty, not '${SLUICE_SANITIZE}'")
endif()
if(SLUICE_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang" OR NOT SLUICE_SANITIZE STREQUAL "address")
    message(FATAL_ERROR "SLUICE_FUZZ needs clang and SLUICE_SANITIZE=address; use the preset fuzz")
  endif()
  # All of the product is instrumented; only the targets in tests/fuzz bring libFuzzer's main.
  target_compile_options(sluice_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(SLUICE_COVERAGE)
  target_compile_options(sluice_flags INTERFACE --coverage)
  target_link_options(sluice_flags INTERFACE --coverage)
endif()

if(SLUICE_MUTANTS)
  target_compile_definitions(sluice_flags INTERFACE SLUICE_MUTANTS=1)
endif()

# sluice_module(NAME SOURCES a.c b.c USES other_module PKG foo bar): a static library that may see only
# what it names. PKG are pkg-config names; their flags are PRIVATE, so that a dependant cannot include a
# third party's header by accident.
function(sluice_module name)
  cmake_parse_arguments(M "" "" "SOURCES;USES;PKG;LIBS" ${ARGN})
  add_library(${name} STATIC ${M_SOURCES})
  target_link_libraries(${name} PUBLIC sluice_flags ${M_USES})
  target_link_libraries(${name} PRIVATE ${M_LIBS})
  foreach(pkg IN LISTS M_PKG)
    string(MAKE_C_IDENTIFIER "PKG_${pkg}" var)
    pkg_check_modules(${var} REQUIRED IMPORTED_TARGET GLOBAL ${pkg})
    target_link_libraries(${name} PRIVATE PkgConfig::${var})
  endforeach()
endfunction()

# Every tests/unit/FOLDER/test_*.c becomes one executable and one ctest entry, labelled `unit`.
# TSAN names the tests (test_mailbox, say, or ALL) that threads meet in: they are labelled `tsan` too.
# BARE names those that judge arithmetic of kernels, which no sanitizer sees, or the same code a hundred
# thousand times over: they are labelled `bare`, and the whole suite has them without a sanitizer only.
# LONG names others that take ten seconds and more, mostly of waiting: they start first.
# DEVICE: they keep every core busy by OpenCL, so that few others run beside them.
function(sluice_unit_tests folder)
  cmake_parse_arguments(T "DEVICE" "" "USES;PKG;LIBS;TSAN;BARE;LONG" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/${folder}/test_*.c)
  foreach(source IN LISTS sources)
    get_filename_component(stem ${source} NAME_WE)
    string(REPLACE "/" "_" prefix ${folder})
    set(name unit_${prefix}_${stem})
    add_executable(${name} ${source})
    target_link_libraries(${name} PRIVATE sluice_flags ${T_USES} ${T_LIBS} PkgConfig::CMOCKA)
    target_compile_definitions(${name} PRIVATE SLUICE_FIXTURES="${PROJECT_SOURCE_DIR}/tests/fixtures"
                               SLUICE_SOURCE_DIR="${PROJECT_SOURCE_DIR}" SLUICE_BINARY_DIR="${PROJECT_BINARY_DIR}")
    foreach(pkg IN LISTS T_PKG)
      string(MAKE_C_IDENTIFIER "PKG_${pkg}" var)
      pkg_check_modules(${var} REQUIRED IMPORTED_TARGET GLOBAL ${pkg})
      target_link_libraries(${name} PRIVATE PkgConfig::${var})
    endforeach()
    add_test(NAME ${name} COMMAND ${name})
    set(labels unit)
    if("ALL" IN_LIST T_TSAN OR stem IN_LIST T_TSAN)
      list(APPEND labels tsan)
    endif()
    if(stem IN_LIST T_BARE)
      list(APPEND labels bare)
    endif()
    set_tests_properties(${name} PROPERTIES LABELS "${labels}" TIMEOUT 300)
    # The long ones first, so that short ones fill what they leave.
    if(T_DEVICE)
      set_tests_properties(${name} PROPERTIES PROCESSORS 2 COST 20)
    endif()
    if(stem IN_LIST T_BARE OR stem IN_LIST T_LONG)
      set_tests_properties(${name} PROPERTIES COST 40)
    endif()
  endforeach()
endfunction()
