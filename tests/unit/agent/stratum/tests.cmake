sluice_unit_tests(agent/stratum USES sluice_stratum PKG jansson libsodium)
