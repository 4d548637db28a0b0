pkg_check_modules(PKG_libzmq REQUIRED IMPORTED_TARGET GLOBAL libzmq)
add_library(test_link_fixture STATIC ${CMAKE_CURRENT_LIST_DIR}/link_fixture.c)
target_include_directories(test_link_fixture PUBLIC ${CMAKE_CURRENT_LIST_DIR})
target_link_libraries(test_link_fixture PUBLIC sluice_link PkgConfig::PKG_libzmq PkgConfig::CMOCKA)
sluice_unit_tests(proto/link USES sluice_link PKG libzmq LIBS test_link_fixture TSAN ALL
                  LONG test_zmq_server)
