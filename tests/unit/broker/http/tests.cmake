# A store, the HTTP server and a loop that stands in for the core; sluice_http_site runs it by itself,
# for clients such as the official SDKs.
add_library(sluice_http_testing STATIC ${CMAKE_CURRENT_LIST_DIR}/site.c ${CMAKE_CURRENT_LIST_DIR}/client.c)
target_link_libraries(sluice_http_testing PUBLIC sluice_http sluice_batch sluice_store sluice_base
                      Threads::Threads)
add_executable(sluice_http_site ${CMAKE_CURRENT_LIST_DIR}/site_main.c)
target_link_libraries(sluice_http_site PRIVATE sluice_http_testing)
sluice_unit_tests(broker/http USES sluice_http_testing PKG jansson libsodium libmicrohttpd TSAN ALL)
# The core's side of the views.
target_sources(unit_broker_http_test_views PRIVATE ${CMAKE_CURRENT_LIST_DIR}/made_up_core.c)
