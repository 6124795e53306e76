//! Making metrics and putting them into the registry.

use std::marker::PhantomData;

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::label::Label;

/// A metric could not be registered: its name is taken or malformed.
#[derive(Debug, thiserror::Error)]
#[error("metric {name} cannot be registered")]
pub struct RegisterError {
    name: &'static str,
    source: prometheus::Error,
}

/// Buckets for work that takes from 50 µs (a write to memory tables) to seconds (a stalled disk).
pub(crate) const SECONDS: &[f64] = &[
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0,
];

/// A counter with one label, of which every value stands from the start.
#[derive(Clone, Debug)]
pub(crate) struct CounterBy<L> {
    vec: IntCounterVec,
    label: PhantomData<L>,
}

impl<L: Label> CounterBy<L> {
    pub(crate) fn inc(&self, value: L) {
        self.vec.with_label_values(&[value.as_str()]).inc();
    }
}

/// A gauge with one label, of which every value stands from the start.
#[derive(Clone, Debug)]
pub(crate) struct GaugeBy<L> {
    vec: IntGaugeVec,
    label: PhantomData<L>,
}

impl<L: Label> GaugeBy<L> {
    pub(crate) fn set(&self, value: L, count: usize) {
        self.vec.with_label_values(&[value.as_str()]).set(gauge_value(count));
    }
}

/// A count as a gauge's value.
pub(crate) fn gauge_value(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Registers what `made` holds, under the name it was made with.
pub(crate) fn add<C: Collector + Clone + 'static>(
    registry: &Registry,
    name: &'static str,
    made: prometheus::Result<C>,
) -> Result<C, RegisterError> {
    made.and_then(|metric| registry.register(Box::new(metric.clone())).map(|()| metric))
        .map_err(|source| RegisterError { name, source })
}

pub(crate) fn counter(
    registry: &Registry,
    name: &'static str,
    help: &str,
) -> Result<IntCounter, RegisterError> {
    add(registry, name, IntCounter::new(name, help))
}

pub(crate) fn gauge(
    registry: &Registry,
    name: &'static str,
    help: &str,
) -> Result<IntGauge, RegisterError> {
    add(registry, name, IntGauge::new(name, help))
}

pub(crate) fn histogram(
    registry: &Registry,
    name: &'static str,
    help: &str,
    buckets: &[f64],
) -> Result<Histogram, RegisterError> {
    let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    add(registry, name, Histogram::with_opts(opts))
}

pub(crate) fn counter_by<L: Label>(
    registry: &Registry,
    name: &'static str,
    help: &str,
) -> Result<CounterBy<L>, RegisterError> {
    let vec = add(registry, name, IntCounterVec::new(Opts::new(name, help), &[L::NAME]))?;
    for value in L::ALL {
        vec.with_label_values(&[value.as_str()]);
    }
    Ok(CounterBy { vec, label: PhantomData })
}

pub(crate) fn gauge_by<L: Label>(
    registry: &Registry,
    name: &'static str,
    help: &str,
) -> Result<GaugeBy<L>, RegisterError> {
    let vec = add(registry, name, IntGaugeVec::new(Opts::new(name, help), &[L::NAME]))?;
    for value in L::ALL {
        vec.with_label_values(&[value.as_str()]);
    }
    Ok(GaugeBy { vec, label: PhantomData })
}

/// `process_*` of this process: memory, file descriptors, CPU time. Read from `/proc`, so only on
/// Linux.
#[cfg(target_os = "linux")]
pub(crate) fn process(registry: &Registry) -> Result<(), RegisterError> {
    let collector = prometheus::process_collector::ProcessCollector::for_self();
    registry
        .register(Box::new(collector))
        .map_err(|source| RegisterError { name: "process_*", source })
}

/// Nothing: the collector reads `/proc`, which only Linux has.
#[cfg(not(target_os = "linux"))]
pub(crate) fn process(_: &Registry) -> Result<(), RegisterError> {
    Ok(())
}
