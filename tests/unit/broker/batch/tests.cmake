sluice_unit_tests(broker/batch USES sluice_batch sluice_base PKG jansson)
