if(TARGET sluice_agent_core AND TARGET sluice_device_base)
  add_library(sluice_test_rig STATIC
    ${PROJECT_SOURCE_DIR}/tests/unit/agent/core/rig.c
    ${PROJECT_SOURCE_DIR}/tests/unit/agent/core/rig_broker.c
    ${PROJECT_SOURCE_DIR}/tests/unit/agent/core/rig_pool.c
    ${PROJECT_SOURCE_DIR}/tests/unit/agent/core/rig_stratum.c)
  target_link_libraries(sluice_test_rig PUBLIC sluice_flags sluice_agent_core)
  sluice_unit_tests(agent/core USES sluice_test_rig sluice_agent_core)
endif()
