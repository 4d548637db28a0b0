sluice_unit_tests(broker/feeds USES sluice_feeds sluice_base TSAN ALL)
