// What the Tokio rows share: `bench-tokio ROW [REPETITIONS [SCALE]]` prints one JSON line a measurement.
use std::time::Instant;

#[derive(Clone)]
pub struct Meter {
    pub row: String,
    pub scale: f64,
    wall: Instant,
    wall_spent: f64,
    cpu: f64,
    operations: usize,
    extras: String,
}

fn process_seconds() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    now.tv_sec as f64 + 1e-9 * now.tv_nsec as f64
}

/// What the process occupies in bytes: VmRSS, its resident pages, or VmPTE, the page tables that map them.
pub fn memory(field: &str) -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    text.lines()
        .filter(|line| line.starts_with(field))
        .map(|line| line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0)
        .sum()
}

impl Meter {
    pub fn new(row: &str, scale: f64) -> Meter {
        let (wall, extras) = (Instant::now(), String::new());
        Meter { row: row.to_string(), scale, wall, wall_spent: 0.0, cpu: 0.0, operations: 0, extras }
    }
    /// How many of `full` to do in this run.
    pub fn scaled(&self, full: usize) -> usize {
        std::cmp::max(1, (full as f64 * self.scale) as usize)
    }
    pub fn start(&mut self) {
        self.wall = Instant::now();
        self.cpu = process_seconds();
    }
    pub fn stop(&mut self, operations: usize) {
        self.cpu = process_seconds() - self.cpu;
        self.wall_spent = self.wall.elapsed().as_secs_f64();
        self.operations = operations;
    }
    pub fn extra(&mut self, name: &str, value: f64) {
        self.extras += &format!(",\"{}\":{}", name, value);
    }
    pub fn latencies(&mut self, mut ns: Vec<f64>) {
        ns.sort_by(|a, b| a.partial_cmp(b).unwrap());
        self.extra("p50", ns[ns.len() / 2]);
        self.extra("p90", ns[ns.len() * 9 / 10]);
        self.extra("p99", ns[ns.len() * 99 / 100]);
    }
    pub fn print(&self) {
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        let peak = unsafe {
            libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
            usage.assume_init().ru_maxrss
        };
        let n = self.operations as f64;
        println!(
            "{{\"row\":\"{}\",\"ops\":{},\"wall\":{:.6},\"cpu\":{:.6},\"peak_kib\":{}{}}}",
            self.row, self.operations, self.wall_spent * 1e9 / n, self.cpu * 1e9 / n, peak, self.extras
        );
    }
}
