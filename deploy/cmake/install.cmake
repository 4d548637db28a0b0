# What `cmake --install` puts beside the programs: man pages, units, sample configurations.
include(GNUInstallDirs)
if(SLUICE_MUTANTS)
  install(CODE "message(FATAL_ERROR \"a build with SLUICE_MUTANTS has bugs on purpose: it is not installed\")")
endif()
install(FILES deploy/man/sluice.1 deploy/man/sluice-convert.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES deploy/man/sluice-broker.8 deploy/man/sluice-agent.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(FILES deploy/systemd/sluice-broker.service deploy/systemd/sluice-agent.service
        DESTINATION lib/systemd/system)
install(FILES deploy/config/broker.yaml deploy/config/agent.yaml deploy/config/policy.yaml DESTINATION ${CMAKE_INSTALL_DATADIR}/sluice)
install(DIRECTORY deploy/feeds/ DESTINATION ${CMAKE_INSTALL_DATADIR}/sluice/feeds FILES_MATCHING PATTERN "*.yaml")
