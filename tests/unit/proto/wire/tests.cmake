# Random messages are shared by the tests of the codec and its parts.
add_library(test_random_msg STATIC ${CMAKE_CURRENT_LIST_DIR}/random_msg.c)
target_include_directories(test_random_msg PUBLIC ${CMAKE_CURRENT_LIST_DIR})
target_link_libraries(test_random_msg PUBLIC sluice_wire)
sluice_unit_tests(proto/wire USES sluice_wire LIBS test_random_msg sluice_wire_generated)
