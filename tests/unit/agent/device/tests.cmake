sluice_unit_tests(agent/device USES sluice_device sluice_device_base sluice_executors sluice_stratum
                  sluice_base PKG OpenCL hwloc LIBS Threads::Threads m)
