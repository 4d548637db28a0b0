sluice_unit_tests(broker/policy USES sluice_policy sluice_conf sluice_base)
