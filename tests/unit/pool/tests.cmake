sluice_unit_tests(pool USES sluice_test_pool_core sluice_stratum PKG jansson libsodium)
# test_server starts the real program.
add_dependencies(unit_pool_test_server sluice-test-pool)
