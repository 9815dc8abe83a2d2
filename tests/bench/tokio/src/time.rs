// Timers, memory of parked tasks, and wake-ups from a plain thread.
use crate::meter::{memory, Meter};
use crate::{inside, Row};
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout, Sleep};

// Tasks that sleep for 30 to 90 seconds, so that a timeout of 60 falls among them.
async fn stand(count: usize) {
    let begun = Arc::new(AtomicU64::new(0));
    for i in 0..count {
        let begun = begun.clone();
        tokio::spawn(async move {
            begun.fetch_add(1, Relaxed);
            sleep(Duration::from_micros(30_000_000 + (i * 7919 % 100_000) as u64 * 600)).await;
        });
    }
    while begun.load(Relaxed) < count as u64 {
        tokio::task::yield_now().await;
    }
}

fn wait_with_timeout(m: &mut Meter) {
    let n = m.scaled(500_000);
    inside(m, |mut m| async move {
        stand(m.scaled(100_000)).await;
        let (ping, pong) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (wait, answer) = (ping.clone(), pong.clone());
        let minute = Duration::from_secs(60);
        tokio::spawn(async move {
            loop {
                timeout(minute, wait.notified()).await.unwrap();
                answer.notify_one();
            }
        });
        m.start();
        for _ in 0..n {
            ping.notify_one();
            timeout(minute, pong.notified()).await.unwrap();
        }
        m.stop(n);
        m
    });
}

// A timer is armed by its first poll, and cancelled by being dropped.
struct ArmAndDrop(Pin<Box<Sleep>>);
impl Future for ArmAndDrop {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let _ = self.0.as_mut().poll(context);
        Poll::Ready(())
    }
}

fn timer_cancel(m: &mut Meter) {
    let n = m.scaled(3_000_000);
    inside(m, |mut m| async move {
        stand(m.scaled(100_000)).await;
        m.start();
        for _ in 0..n {
            ArmAndDrop(Box::pin(sleep(Duration::from_secs(60)))).await;
        }
        m.stop(n);
        m
    });
}

fn sleeps(m: &mut Meter) {
    let n = m.scaled(1_000_000);
    let latest = Arc::new(AtomicU64::new(0));
    let worst = latest.clone();
    inside(m, |mut m| async move {
        let mut random: u64 = 1;
        let mut all = Vec::with_capacity(n);
        m.start();
        for _ in 0..n {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let delay = Duration::from_nanos((random >> 33) % 1_000_000_000);
            let latest = latest.clone();
            all.push(tokio::spawn(async move {
                let due = Instant::now() + delay;
                sleep(delay).await;
                latest.fetch_max((Instant::now() - due).as_nanos() as u64, Relaxed);
            }));
        }
        for each in all {
            each.await.unwrap();
        }
        m.stop(n);
        m
    });
    m.extra("latest_ms", worst.load(Relaxed) as f64 / 1e6);
}

fn parked(m: &mut Meter) {
    let n = if m.scale >= 1.0 { 1_000_000 } else { 100_000 };
    inside(m, |mut m| async move {
        let never = Arc::new(Notify::new());
        let (resident, tables) = (memory("VmRSS"), memory("VmPTE"));
        m.start();
        for _ in 0..n {
            let never = never.clone();
            tokio::spawn(async move { never.notified().await });
        }
        sleep(Duration::from_millis(1)).await;
        m.stop(n);
        m.extra("bytes", (memory("VmRSS") - resident) / n as f64);
        m.extra("table_bytes", (memory("VmPTE") - tables) / n as f64);
        m
    });
}

fn wake_asleep(m: &mut Meter) {
    let n = m.scaled(2000);
    let base = Instant::now();
    let sent = Arc::new(AtomicU64::new(0));
    let wake = Arc::new(Notify::new());
    let (stamp, bell) = (sent.clone(), wake.clone());
    let (seen, see) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        while see.recv().is_ok() {
            std::thread::sleep(Duration::from_micros(300));
            stamp.store(base.elapsed().as_nanos() as u64, SeqCst);
            bell.notify_one();
        }
    });
    inside(m, |mut m| async move {
        let mut took = Vec::with_capacity(n);
        m.start();
        for _ in 0..n {
            seen.send(()).unwrap();
            wake.notified().await;
            took.push((base.elapsed().as_nanos() as u64 - sent.load(SeqCst)) as f64);
        }
        m.stop(n);
        m.latencies(took);
        m
    });
}

pub const ROWS: &[Row] = &[
    Row { name: "timeout", measure: wait_with_timeout, cold: true },
    Row { name: "timer-cancel", measure: timer_cancel, cold: true },
    Row { name: "sleeps", measure: sleeps, cold: true },
    Row { name: "parked", measure: parked, cold: true },
    Row { name: "wake-asleep", measure: wake_asleep, cold: true },
];
