sluice_unit_tests(agent/device DEVICE USES sluice_device sluice_device_base sluice_executors sluice_stratum
                  sluice_link sluice_base PKG OpenCL hwloc LIBS Threads::Threads m
                  TSAN test_bind test_cl_device test_device test_device_threads test_discover test_fake_device test_stop
                  LONG test_cl_device)
