sluice_unit_tests(agent/journal USES sluice_journal sluice_base LIBS Threads::Threads)
