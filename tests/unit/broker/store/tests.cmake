sluice_unit_tests(broker/store USES sluice_store sluice_base PKG sqlite3 TSAN ALL)
