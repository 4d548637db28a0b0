add_library(sluice_test_power_loss STATIC ${PROJECT_SOURCE_DIR}/tests/unit/sim/power_loss.c
            ${PROJECT_SOURCE_DIR}/tests/unit/sim/store_life.c)
target_link_libraries(sluice_test_power_loss PUBLIC sluice_flags sluice_sim_disk sluice_store)
sluice_unit_tests(sim USES sluice_sim_site sluice_test_power_loss sluice_sim_disk sluice_store
                  sluice_journal sluice_base LIBS Threads::Threads
                  BARE test_power_loss_store)
