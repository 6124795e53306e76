//! Both databases from outside: the suites, a model, opening, and crashes.

mod conformance;
mod crash;
mod formats;
mod model;
mod opening;
mod sealed;
mod support;
