add_library(sluice_test_world STATIC ${CMAKE_CURRENT_LIST_DIR}/world.c ${CMAKE_CURRENT_LIST_DIR}/world_store.c)
target_link_libraries(sluice_test_world PUBLIC sluice_flags sluice_broker_core sluice_base PRIVATE PkgConfig::CMOCKA)
# test_together.c runs both cores: the agent's rig stands in tests/unit/agent/core.
sluice_unit_tests(broker/core USES sluice_test_world sluice_broker_restore sluice_store sluice_broker_core sluice_test_rig sluice_link sluice_wire sluice_base)
