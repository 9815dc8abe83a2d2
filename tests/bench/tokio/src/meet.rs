// Channels, select, mutex and condition. Tokio has no rendezvous channel: a bounded one of capacity one is
// what its users take. For many consumers it is the async-channel crate.
use crate::{inside, meter::Meter, Row};
use std::sync::Arc;
use tokio::sync::{mpsc, Mutex, Notify};

fn rendezvous(m: &mut Meter) {
    let n = m.scaled(1_000_000);
    inside(m, |mut m| async move {
        let (there, mut from_here) = mpsc::channel(1);
        let (back, mut from_there) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(v) = from_here.recv().await {
                if back.send(v).await.is_err() {
                    break;
                }
            }
        });
        m.start();
        for i in 0..n {
            there.send(i).await.unwrap();
            from_there.recv().await.unwrap();
        }
        m.stop(n);
        m
    });
}

fn buffered_one(m: &mut Meter) {
    let n = m.scaled(4_000_000);
    inside(m, |mut m| async move {
        let (sender, mut receiver) = mpsc::channel(128);
        m.start();
        let producer = tokio::spawn(async move {
            for i in 0..n {
                sender.send(i).await.unwrap();
            }
        });
        let consumer = tokio::spawn(async move {
            let mut sum = 0;
            while let Some(v) = receiver.recv().await {
                sum += v;
            }
            sum
        });
        producer.await.unwrap();
        consumer.await.unwrap();
        m.stop(n);
        m
    });
}

fn buffered_four(m: &mut Meter) {
    let each = m.scaled(4_000_000) / 4;
    inside(m, |mut m| async move {
        let (sender, receiver) = async_channel::bounded(128);
        m.start();
        let mut all = Vec::new();
        for _ in 0..4 {
            let (sender, receiver) = (sender.clone(), receiver.clone());
            all.push(tokio::spawn(async move {
                for i in 0..each {
                    sender.send(i).await.unwrap();
                }
            }));
            all.push(tokio::spawn(async move {
                let mut sum = 0;
                while let Ok(v) = receiver.recv().await {
                    sum += v;
                }
                assert!(sum > 0);
            }));
        }
        drop((sender, receiver));
        for each in all {
            each.await.unwrap();
        }
        m.stop(each * 4);
        m
    });
}

fn select_four(m: &mut Meter) {
    let n = m.scaled(1_000_000) / 4 * 4;
    inside(m, |mut m| async move {
        let mut receivers = Vec::new();
        for _ in 0..4 {
            let (sender, receiver) = mpsc::channel(1);
            receivers.push(receiver);
            tokio::spawn(async move {
                for i in 0..n / 4 {
                    sender.send(i).await.unwrap();
                }
                std::future::pending::<()>().await; // a closed channel would always be ready
            });
        }
        let (mut d, mut c, mut b, mut a) = (
            receivers.pop().unwrap(),
            receivers.pop().unwrap(),
            receivers.pop().unwrap(),
            receivers.pop().unwrap(),
        );
        let mut sum = 0;
        m.start();
        for _ in 0..n {
            sum += tokio::select! {
                v = a.recv() => v.unwrap(),
                v = b.recv() => v.unwrap(),
                v = c.recv() => v.unwrap(),
                v = d.recv() => v.unwrap(),
            };
        }
        m.stop(n);
        assert!(sum > 0);
        m
    });
}

fn mutex_free(m: &mut Meter) {
    let n = m.scaled(10_000_000);
    inside(m, |mut m| async move {
        let lock = Mutex::new(0);
        m.start();
        for _ in 0..n {
            *lock.lock().await += 1;
        }
        m.stop(n);
        m
    });
}

fn mutex_eight(m: &mut Meter) {
    let each = m.scaled(2_000_000) / 8;
    inside(m, |mut m| async move {
        let lock = Arc::new(Mutex::new(()));
        m.start();
        let mut all = Vec::new();
        for _ in 0..8 {
            let lock = lock.clone();
            all.push(tokio::spawn(async move {
                for _ in 0..each {
                    let _guard = lock.lock().await;
                    tokio::task::yield_now().await;
                }
            }));
        }
        for task in all {
            task.await.unwrap();
        }
        m.stop(each * 8);
        m
    });
}

// Notify is Tokio's condition variable.
fn condition(m: &mut Meter) {
    let n = m.scaled(1_000_000);
    inside(m, |mut m| async move {
        let (ping, pong) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (wait, answer) = (ping.clone(), pong.clone());
        tokio::spawn(async move {
            loop {
                wait.notified().await;
                answer.notify_one();
            }
        });
        m.start();
        for _ in 0..n {
            ping.notify_one();
            pong.notified().await;
        }
        m.stop(n);
        m
    });
}

pub const ROWS: &[Row] = &[
    Row { name: "rendezvous", measure: rendezvous, cold: false },
    Row { name: "buffered-1-1", measure: buffered_one, cold: false },
    Row { name: "buffered-4-4", measure: buffered_four, cold: false },
    Row { name: "select-4", measure: select_four, cold: false },
    Row { name: "mutex-free", measure: mutex_free, cold: false },
    Row { name: "mutex-8", measure: mutex_eight, cold: false },
    Row { name: "condition", measure: condition, cold: false },
];
