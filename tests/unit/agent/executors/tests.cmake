sluice_unit_tests(agent/executors USES sluice_executors sluice_device sluice_device_base
                  sluice_models sluice_test_ref sluice_stratum sluice_base PKG OpenCL LIBS Threads::Threads m)
