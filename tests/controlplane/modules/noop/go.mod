module rightarch.dev/tests/noop

go 1.26.0
