sluice_unit_tests(agent/executors DEVICE USES sluice_executors sluice_device sluice_device_base
                  sluice_models sluice_test_ref sluice_stratum sluice_base PKG OpenCL LIBS Threads::Threads m
                  BARE test_hash_kernel test_infer_gemm test_infer_real)
