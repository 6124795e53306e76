//! Where and when something was measured.

use std::fmt;
use std::fs;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A machine at the beginning of a measurement.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Machine {
    /// The day, UTC, as `2026-01-31`.
    pub date: String,
    /// The processor's name.
    pub processor: String,
    /// Processors that this process can use.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The system's name and its kernel.
    pub system: String,
    /// Runnable processes over the minute before: what else ran.
    pub load: f64,
}

impl Machine {
    /// This one, now. What Linux does not tell stays empty.
    pub fn now() -> Self {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let memory = field(&read("/proc/meminfo"), "MemTotal", ':').unwrap_or_default();
        let memory_kib: u64 = memory.trim_end_matches(" kB").trim().parse().unwrap_or_default();
        let kernel = read("/proc/sys/kernel/osrelease");
        let name = field(&read("/etc/os-release"), "PRETTY_NAME", '=').unwrap_or_default();
        let load = read("/proc/loadavg");
        Self {
            date: OffsetDateTime::now_utc().date().to_string(),
            processor: field(&read("/proc/cpuinfo"), "model name", ':').unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory_kib / 1024,
            system: format!("{}, Linux {}", name.trim_matches('"'), kernel.trim()),
            load: load.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or_default(),
        }
    }
}

/// The value of the first line `name: value`.
fn field(text: &str, name: &str, separator: char) -> Option<String> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(separator)?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { date, processor, cores, memory_mib, system, load } = self;
        write!(
            f,
            "Measured on {date}: {processor}, {cores} cores, {memory_mib} MiB, {system}; load {load:.2} \
             in the minute before."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_date_and_a_processor() {
        let machine = Machine::now();
        assert!(machine.cores > 0 && machine.memory_mib > 0 && machine.date.len() == 10);
    }

    #[test]
    fn a_field_is_found_by_its_name() {
        let text = "model\t: 1\nmodel name\t: EPYC\nmodel name\t: other\n";
        assert_eq!(field(text, "model name", ':').as_deref(), Some("EPYC"));
        assert_eq!(field(text, "name", ':'), None);
    }
}
