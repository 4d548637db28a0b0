add_library(sluice_test_failover_rig STATIC ${PROJECT_SOURCE_DIR}/tests/unit/agent/stratum/failover_rig.c)
target_link_libraries(sluice_test_failover_rig PUBLIC sluice_flags sluice_stratum)
sluice_unit_tests(agent/stratum USES sluice_test_failover_rig sluice_stratum PKG jansson libsodium)
