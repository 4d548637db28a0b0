sluice_unit_tests(sim USES sluice_sim_disk sluice_store sluice_journal sluice_base
                  LIBS Threads::Threads)
