// TCP and UDP echo, a task a connection. Prints {"port": N}, then serves until it is killed.
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

fn option(arguments: &[String], name: &str, otherwise: usize) -> usize {
    let place = arguments.iter().position(|word| word == name);
    place.map_or(otherwise, |i| arguments[i + 1].parse().unwrap())
}

pub fn main(arguments: &[String]) {
    let workers = option(arguments, "--workers", 1);
    let size = std::cmp::max(512, 2 * option(arguments, "--size", 64));
    let udp = arguments.iter().any(|word| word == "--udp");
    let runtime = if workers == 1 {
        crate::current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap()
    };
    runtime.block_on(async {
        if udp {
            echo_datagrams().await
        } else {
            // Accepting in a task lets a worker, not the main thread, poll the listener.
            tokio::spawn(echo_streams(size)).await.unwrap()
        }
    });
}

async fn echo_datagrams() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    println!("{{\"port\": {}}}", socket.local_addr().unwrap().port());
    let mut buffer = vec![0; 65536];
    loop {
        if let Ok((n, from)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(&buffer[..n], from).await;
        }
    }
}

async fn echo_streams(size: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{{\"port\": {}}}", listener.local_addr().unwrap().port());
    loop {
        let mut stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => continue,
        };
        tokio::spawn(async move {
            let mut buffer = vec![0; size];
            while let Ok(n) = stream.read(&mut buffer).await {
                if n == 0 || stream.write_all(&buffer[..n]).await.is_err() {
                    break;
                }
            }
        });
    }
}
