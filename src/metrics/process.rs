//! What the operating system says of this process, by the names that every exporter uses.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike as _;

use super::page::{Kind, Page};

/// Writes them; what cannot be known here, as most of it on other systems than Linux, is left out.
pub fn write(page: &mut Page, started: SystemTime) {
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let time = usage.user_time() + usage.system_time();
        let micros = u64::try_from(time.num_microseconds()).unwrap_or_default();
        page.number(
            Kind::Counter,
            "process_cpu_seconds_total",
            "Processor time that this process has used, its own and the kernel's for it.",
            Duration::from_micros(micros).as_secs_f64(),
        );
    }
    let status = Status::read();
    let figures = [
        (
            "VmRSS",
            1024,
            "process_resident_memory_bytes",
            "Memory of this process that is in RAM.",
        ),
        (
            "VmSize",
            1024,
            "process_virtual_memory_bytes",
            "Address space of this process; most of it is never used.",
        ),
        (
            "Threads",
            1,
            "process_threads",
            "Threads of this process; sessions have none of their own.",
        ),
    ];
    for (field, factor, name, help) in figures {
        if let Some(number) = status.number(field) {
            page.number(Kind::Gauge, name, help, number.saturating_mul(factor));
        }
    }
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        page.number(
            Kind::Gauge,
            "process_open_fds",
            "Open file descriptors. A session has two: one to its client, one to its backend.",
            // one of them is the list itself
            descriptors.count().saturating_sub(1),
        );
    }
    if let Ok((most, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        page.number(
            Kind::Gauge,
            "process_max_fds",
            "File descriptors that this process may have open. Near it, no client is accepted (ulimit -n, LimitNOFILE=).",
            most,
        );
    }
    let started = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    page.number(
        Kind::Gauge,
        "process_start_time_seconds",
        "When this process was started, in seconds since 1970. All counters were 0 then.",
        started.as_secs_f64(),
    );
}

/// `/proc/self/status`
struct Status(String);

impl Status {
    fn read() -> Self {
        Self(fs::read_to_string("/proc/self/status").unwrap_or_default())
    }

    /// A field's number; sizes are in KiB.
    fn number(&self, field: &str) -> Option<u64> {
        self.0.lines().find_map(|line| {
            let value = line.strip_prefix(field)?.strip_prefix(':')?;
            value.split_whitespace().next()?.parse().ok()
        })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_this_process() {
        let mut page = Page::default();
        write(&mut page, SystemTime::now());
        let text = page.into_text();
        let number = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().parse().ok())
                .unwrap_or_else(|| panic!("{name} in {text}"))
        };
        assert!(number("process_resident_memory_bytes ") > 1e6);
        assert!(number("process_max_fds ") >= number("process_open_fds "));
        assert!(number("process_threads ") >= 1.0);
        assert!(number("process_cpu_seconds_total ") >= 0.0);
    }
}
