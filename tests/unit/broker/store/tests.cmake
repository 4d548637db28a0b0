sluice_unit_tests(broker/store USES sluice_store sluice_base PKG sqlite3 TSAN ALL
                  LONG test_file_check test_restore test_wal_view)
