//! The operator, the replayer and the command line.
