//! The machines: what the facts are and which effects follow.
