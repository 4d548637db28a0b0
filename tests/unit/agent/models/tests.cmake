# sluice_test_ref: float64 bert and small random models, for any unit test that wants an oracle.
add_library(sluice_test_ref STATIC ${CMAKE_CURRENT_LIST_DIR}/bert_ref64.c ${CMAKE_CURRENT_LIST_DIR}/tiny_bert.c
            ${CMAKE_CURRENT_LIST_DIR}/vocab_gguf.c)
target_link_libraries(sluice_test_ref PUBLIC sluice_models PRIVATE m)
sluice_unit_tests(agent/models USES sluice_models sluice_base sluice_test_ref LIBS m TSAN test_wordpiece)
