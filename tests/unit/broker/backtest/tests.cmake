sluice_unit_tests(broker/backtest USES sluice_backtest sluice_schedulers sluice_conf sluice_base PKG jansson LIBS m)
