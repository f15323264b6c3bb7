//! Tests of the whole: end to end, oracle and load tools.
