//! What Linux says of a process: `/proc/<pid>/stat` and `/proc/<pid>/status`.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// CPU time of a process so far, all its threads, in user and kernel mode.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let file = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&file).with_context(|| file.clone())?;
    let ticks = ticks(&text).with_context(|| format!("{file} does not parse"))?;
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// Clock ticks in user and kernel mode: fields 14 and 15, counted after the name in parentheses,
/// which may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Memory of a process in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// Resident at most so far.
    pub peak: u64,
}

/// Memory of a process.
pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let file = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&file).with_context(|| file.clone())?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    };
    let memory = || Some(Memory { resident: field("VmRSS:")?, peak: field("VmHWM:")? });
    memory().with_context(|| format!("{file} does not parse"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stand_after_a_name_of_any_form() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 100 23 0 0 20 0";
        assert_eq!(ticks(stat), Some(123));
    }

    #[test]
    fn this_process_uses_memory() {
        let memory = memory(std::process::id()).expect("Linux");
        assert!(memory.peak >= memory.resident && memory.resident > 0);
        cpu(std::process::id()).expect("Linux");
    }
}
