sluice_unit_tests(proto/conf USES sluice_conf PKG yaml-0.1)
