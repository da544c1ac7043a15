//! What a process used: processor time, memory, switches, bytes written. From Linux's `/proc`.
//!
//! The kernel does not count syncs by process. [`syncs`] counts them with strace, in a separate run,
//! because tracing slows the server.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// `/proc` counts processor time in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// Sums since a process began.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    user: Duration,
    system: Duration,
    switches: u64,
    written: u64,
}

/// Notes the sums at the start of a measurement.
pub struct Watcher {
    process: u32,
    start: Sums,
}

/// What a process used while it was watched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    pub user: Duration,
    pub system: Duration,
    /// Context switches, voluntary or not, of threads that still run.
    pub switches: u64,
    /// Bytes that were sent to the storage layer.
    pub written: u64,
    /// Memory at the end and at its peak, in KiB.
    pub resident: u64,
    pub peak: u64,
}

impl Watcher {
    pub fn start(process: u32) -> Self {
        Self { process, start: Sums::of(process) }
    }

    pub fn used(&self) -> Used {
        let now = Sums::of(self.process);
        let (resident, peak) = memory(self.process);
        Used {
            user: now.user.saturating_sub(self.start.user),
            system: now.system.saturating_sub(self.start.system),
            switches: now.switches.saturating_sub(self.start.switches),
            written: now.written.saturating_sub(self.start.written),
            resident,
            peak,
        }
    }
}

impl Used {
    pub fn processor(&self) -> Duration {
        self.user + self.system
    }

    /// The members of a result, for each of `requests`.
    pub fn json(&self, requests: u64) -> Value {
        let each = |whole: f64| (whole / requests.max(1) as f64 * 1e3).round() / 1e3;
        json!({
            "processor_us": each(self.processor().as_secs_f64() * 1e6),
            "user_us": each(self.user.as_secs_f64() * 1e6),
            "system_us": each(self.system.as_secs_f64() * 1e6),
            "a_processor_second":
                (requests as f64 / self.processor().as_secs_f64().max(0.01)).round(),
            "switches": each(self.switches as f64),
            "written_bytes": each(self.written as f64),
            "resident_kib": self.resident,
            "peak_kib": self.peak,
        })
    }
}

impl Sums {
    fn of(process: u32) -> Self {
        let (user, system) = processor_time(process);
        Self { user, system, switches: switches(process), written: written(process) }
    }
}

/// User and system time of a process so far, threads that ended included.
pub fn processor_time(process: u32) -> (Duration, Duration) {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The second field is the name in brackets and may hold anything; utime is the 14th.
    let (_, fields) = stat.rsplit_once(')').unwrap_or_default();
    let mut ticks =
        fields.split_whitespace().skip(11).map(|text| text.parse::<u32>().unwrap_or_default());
    (TICK * ticks.next().unwrap_or_default(), TICK * ticks.next().unwrap_or_default())
}

fn switches(process: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("status")).ok())
        .map(|status| {
            number_after(&status, "voluntary_ctxt_switches:")
                + number_after(&status, "nonvoluntary_ctxt_switches:")
        })
        .sum()
}

fn written(process: u32) -> u64 {
    let io = fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
    number_after(&io, "write_bytes:")
}

/// Resident memory now and at its peak, in KiB.
pub fn memory(process: u32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    (number_after(&status, "VmRSS:"), number_after(&status, "VmHWM:"))
}

fn number_after(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// The number of syncs of this process while `during` ran; `None` without strace, or where the
/// system forbids it.
pub async fn syncs<T>(process: u32, during: impl Future<Output = T>) -> Option<(u64, T)> {
    let log = tempfile::NamedTempFile::new().ok()?;
    let mut tracer = Command::new("strace")
        .args(["-f", "-qq", "-c", "-U", "calls,name", "-e", "trace=fsync,fdatasync"])
        .args(["-p", &process.to_string(), "-o"])
        .arg(log.path())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // It attaches to every thread before it traces.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let outcome = during.await;
    let number = tracer.id().to_string();
    Command::new("kill").args(["-INT", &number]).status().ok()?;
    tracer.wait().ok()?;
    let table = fs::read_to_string(log.path()).ok()?;
    let count = table
        .lines()
        .filter(|line| line.ends_with("sync"))
        .filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    (count > 0).then_some((count, outcome))
}
