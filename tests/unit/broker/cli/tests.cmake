# The command line but for its main: values, tables, options, inputs, progress.
sluice_unit_tests(broker/cli USES sluice_cli_lib sluice_base PKG jansson)
