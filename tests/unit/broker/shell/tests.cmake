sluice_unit_tests(broker/shell USES sluice_broker_shell PKG libuv)
