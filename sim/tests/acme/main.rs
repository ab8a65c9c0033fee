//! The modelled CA: each behaviour, each limit and each fault by name, called directly; and a
//! client of this test's own against it over HTTP.
#![allow(clippy::unwrap_used)]

mod bench;
mod caa;
mod direct;
mod faults;
mod http;
mod jose;
mod limits;
mod renewal;
mod validation;
