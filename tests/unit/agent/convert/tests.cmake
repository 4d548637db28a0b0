add_library(sluice_test_hf_sample STATIC ${CMAKE_CURRENT_LIST_DIR}/hf_sample.c)
target_link_libraries(sluice_test_hf_sample PUBLIC sluice_base PRIVATE PkgConfig::CMOCKA)
sluice_unit_tests(agent/convert USES sluice_convert sluice_test_hf_sample sluice_models sluice_base PKG jansson)
