//! A simulated world: the API server, clocks and faults.
