# A library that speaks NVML's binary interface, and one as old as can be (fake_nvml.c says how it is told
# what to say); the end-to-end tests use them too.
foreach(kind fake_nvml fake_nvml_old)
  add_library(${kind} MODULE ${CMAKE_CURRENT_SOURCE_DIR}/agent/telemetry/fake_nvml.c)
  target_link_libraries(${kind} PRIVATE sluice_flags)
endforeach()
target_compile_definitions(fake_nvml_old PRIVATE OLD)
sluice_unit_tests(agent/telemetry USES sluice_telemetry sluice_device_base sluice_wire sluice_base
                  LIBS Threads::Threads TSAN test_nvml test_nvml_hang test_telemetry)
foreach(name test_nvml test_nvml_hang test_telemetry)
  add_dependencies(unit_agent_telemetry_${name} fake_nvml fake_nvml_old)
  target_compile_definitions(unit_agent_telemetry_${name} PRIVATE
    FAKE_NVML="$<TARGET_FILE:fake_nvml>" FAKE_NVML_OLD="$<TARGET_FILE:fake_nvml_old>")
endforeach()
