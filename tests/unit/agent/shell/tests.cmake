if(TARGET sluice_agent_shell)
  sluice_unit_tests(agent/shell USES sluice_agent_shell sluice_test_ref sluice_models sluice_stratum sluice_base PKG libuv LIBS Threads::Threads m
                    TSAN test_tokenizer test_model_watch test_pool_link)
endif()
