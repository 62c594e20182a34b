module blumfeld.test/compat

go 1.26.0
