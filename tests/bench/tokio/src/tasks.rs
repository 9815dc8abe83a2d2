// Switching, spawning and joining tasks.
use crate::{inside, meter::Meter, Row};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use tokio::task::yield_now;

fn yields(m: &mut Meter, count: usize) {
    let rounds = std::cmp::max(1, m.scaled(3_000_000) / count);
    inside(m, |mut m| async move {
        let go = Arc::new(AtomicBool::new(false));
        let started = Arc::new(AtomicUsize::new(0));
        let mut all = Vec::new();
        for _ in 0..count {
            let (go, started) = (go.clone(), started.clone());
            all.push(tokio::spawn(async move {
                started.fetch_add(1, Relaxed);
                while !go.load(Relaxed) {
                    yield_now().await;
                }
                for _ in 0..rounds {
                    yield_now().await;
                }
            }));
        }
        while started.load(Relaxed) < count {
            yield_now().await;
        }
        go.store(true, Relaxed);
        m.start();
        for each in all {
            each.await.unwrap();
        }
        m.stop(rounds * count);
        m
    });
}

fn spawn_join(m: &mut Meter) {
    let n = m.scaled(1_000_000);
    inside(m, |mut m| async move {
        m.start();
        for _ in 0..n {
            tokio::spawn(async {}).await.unwrap();
        }
        m.stop(n);
        m
    });
}

fn spawn_batch(m: &mut Meter) {
    let batches = m.scaled(1000);
    inside(m, |mut m| async move {
        let mut all = Vec::with_capacity(1000);
        m.start();
        for _ in 0..batches {
            for _ in 0..1000 {
                all.push(tokio::spawn(async {}));
            }
            for each in all.drain(..) {
                each.await.unwrap();
            }
        }
        m.stop(batches * 1000);
        m
    });
}

fn skynet_node(number: usize, size: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        if size == 1 {
            return number;
        }
        let children: Vec<_> =
            (0..10).map(|i| tokio::spawn(skynet_node(number + i * (size / 10), size / 10))).collect();
        let mut sum = 0;
        for each in children {
            sum += each.await.unwrap();
        }
        sum
    })
}

fn skynet(m: &mut Meter) {
    let leaves = if m.scale >= 1.0 { 1_000_000 } else { 100_000 };
    inside(m, |mut m| async move {
        m.start();
        let sum = skynet_node(0, leaves).await;
        m.stop(leaves + (leaves - 1) / 9);
        assert_eq!(sum, leaves * (leaves - 1) / 2);
        m
    });
}

static CALLS: AtomicUsize = AtomicUsize::new(0);

fn fib_node(n: u32) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        CALLS.store(CALLS.load(Relaxed) + 1, Relaxed);
        if n < 2 {
            return n as u64;
        }
        let (left, right) = (tokio::spawn(fib_node(n - 1)), tokio::spawn(fib_node(n - 2)));
        left.await.unwrap() + right.await.unwrap()
    })
}

fn fib(m: &mut Meter) {
    let n = if m.scale >= 1.0 { 25 } else { 20 };
    inside(m, |mut m| async move {
        CALLS.store(0, Relaxed);
        m.start();
        fib_node(n).await;
        m.stop(CALLS.load(Relaxed));
        m
    });
}

pub const ROWS: &[Row] = &[
    Row { name: "yield-2", measure: |m| yields(m, 2), cold: false },
    Row { name: "yield-100", measure: |m| yields(m, 100), cold: false },
    Row { name: "yield-10000", measure: |m| yields(m, 10_000), cold: false },
    Row { name: "spawn-join", measure: spawn_join, cold: false },
    Row { name: "spawn-batch", measure: spawn_batch, cold: false },
    Row { name: "skynet", measure: skynet, cold: true },
    Row { name: "fib", measure: fib, cold: false },
];
