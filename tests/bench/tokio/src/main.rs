// Tokio, on its current-thread runtime unless said. One module for each group of rows.
mod echo;
mod meet;
mod meter;
mod tasks;
mod time;

use meter::Meter;
use std::future::Future;

pub struct Row {
    pub name: &'static str,
    pub measure: fn(&mut Meter),
    pub cold: bool, // no rehearsal before the first measurement
}

pub fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs a row inside a task, as the other programs run theirs inside a fiber: the future of block_on itself
/// is polled only between batches of tasks.
pub fn inside<F: Future<Output = Meter> + Send + 'static>(m: &mut Meter, row: impl FnOnce(Meter) -> F) {
    let task = row(m.clone());
    *m = current_thread().block_on(async { tokio::spawn(task).await.unwrap() });
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted = arguments.first().map(String::as_str).unwrap_or("");
    if wanted == "echo" {
        return echo::main(&arguments[1..]);
    }
    let repetitions = arguments.get(1).map_or(1, |text| text.parse().unwrap());
    let scale = arguments.get(2).map_or(1.0, |text| text.parse().unwrap());
    for row in tasks::ROWS.iter().chain(meet::ROWS).chain(time::ROWS) {
        if wanted == "list" {
            println!("{}", row.name);
        } else if wanted == row.name {
            if !row.cold {
                (row.measure)(&mut Meter::new(row.name, scale * 0.1));
            }
            for _ in 0..repetitions {
                let mut meter = Meter::new(row.name, scale);
                (row.measure)(&mut meter);
                meter.print();
            }
            std::process::exit(0);
        }
    }
    if wanted != "list" {
        eprintln!("usage: bench-tokio ROW [REPETITIONS [SCALE]] | list | echo [--workers N] [--size N] [--udp]");
        std::process::exit(2);
    }
}
