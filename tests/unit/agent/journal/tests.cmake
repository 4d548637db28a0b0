add_library(sluice_test_disk STATIC ${PROJECT_SOURCE_DIR}/tests/unit/agent/journal/fake_disk.c)
target_link_libraries(sluice_test_disk PUBLIC sluice_flags sluice_base)
sluice_unit_tests(agent/journal USES sluice_test_disk sluice_journal sluice_base LIBS Threads::Threads
                  TSAN test_journal test_compact)
