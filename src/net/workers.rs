//! The threads that serve clients: one a core, each with a runtime of its own, and a connection stays with the one that got it.
//!
//! A runtime whose threads take work from each other would spread it more evenly. It also wakes threads for work that is
//! done before they are there: for short queries of few clients that cost a fifth of the throughput (README).

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::socket::Socket;

/// Where clients are served. Its threads end when it is dropped, and drop what they still serve.
#[derive(Debug)]
pub struct Workers {
    workers: Vec<Worker>,
    _end: DropGuard,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// One for itself, and one for each connection.
    connections: Arc<()>,
}

impl Workers {
    /// How many there are: one for each core that the process may use, by affinity and by the CPU quota of its control group.
    pub fn number() -> NonZero<usize> {
        thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
    }

    /// Starts them.
    pub fn start() -> io::Result<Self> {
        Self::start_so_many(Self::number())
    }

    fn start_so_many(count: NonZero<usize>) -> io::Result<Self> {
        let end = CancellationToken::new();
        Ok(Self {
            workers: (0..count.get())
                .map(|number| Worker::start(number, end.clone()))
                .collect::<io::Result<_>>()?,
            _end: end.drop_guard(),
        })
    }

    /// Serves a connection on the thread that has the fewest, as one of `tasks`.
    pub fn serve<F>(
        &self,
        tasks: &TaskTracker,
        socket: Socket,
        serve: impl FnOnce(Socket) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        let fewest = |worker: &&Worker| Arc::strong_count(&worker.connections);
        let Some(worker) = self.workers.iter().min_by_key(fewest) else {
            return;
        };
        let connection = Arc::clone(&worker.connections);
        let moving = socket.leave();
        let serving = async move {
            match moving.and_then(Socket::arrive) {
                Ok(socket) => serve(socket).await,
                Err(error) => warn!(%error, "a client was turned away"),
            }
            drop(connection);
        };
        tasks.spawn_on(serving, &worker.runtime);
    }

    /// Ready when every thread has had a turn: at once, unless one of them does nothing else any more.
    pub async fn answer(&self) {
        let turns: Vec<_> = self
            .workers
            .iter()
            .map(|worker| worker.runtime.spawn(async {}))
            .collect();
        for turn in turns {
            // a runtime that ends answers by that
            let _ = turn.await;
        }
    }
}

impl Worker {
    fn start(number: usize, end: CancellationToken) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let worker = Self {
            runtime: runtime.handle().clone(),
            connections: Arc::default(),
        };
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || {
                runtime.block_on(end.cancelled_owned());
                // a file system that hangs in the middle of a reread must not hold up the end
                runtime.shutdown_background();
            })?;
        Ok(worker)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream, UnixStream};
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;
    use crate::net::socket::KeepAlive;

    fn workers(count: usize) -> Workers {
        Workers::start_so_many(NonZero::new(count).expect("at least one")).expect("threads")
    }

    /// Says on which thread it is served, then waits for the peer's end.
    async fn serve_one(workers: &Workers, tasks: &TaskTracker) -> (String, UnixStream) {
        let (ours, peer) = UnixStream::pair().expect("a pair of sockets");
        let (on, thread) = oneshot::channel();
        workers.serve(tasks, Socket::Unix(ours), |socket| async move {
            let name = thread::current().name().unwrap_or_default().to_owned();
            let Socket::Unix(mut socket) = socket else {
                return;
            };
            let _ = on.send(name);
            let _ = socket.read_u8().await;
        });
        (thread.await.expect("it is served"), peer)
    }

    #[tokio::test]
    async fn a_connection_goes_where_the_fewest_are() {
        let (workers, tasks) = (workers(3), TaskTracker::new());
        let mut served = Vec::new();
        for _ in 0..6 {
            served.push(serve_one(&workers, &tasks).await);
        }
        let mut threads: Vec<_> = served.iter().map(|(thread, _)| thread.clone()).collect();
        threads.sort();
        assert_eq!(
            threads,
            [
                "worker-0", "worker-0", "worker-1", "worker-1", "worker-2", "worker-2"
            ]
        );
        served.retain(|(thread, _)| thread != "worker-1");
        while tasks.len() > served.len() {
            tokio::task::yield_now().await;
        }
        for _ in 0..2 {
            let one = serve_one(&workers, &tasks).await;
            assert_eq!(one.0, "worker-1");
            served.push(one);
        }
    }

    #[tokio::test]
    async fn both_kinds_of_socket_work_where_they_arrive() -> io::Result<()> {
        let (workers, tasks) = (workers(1), TaskTracker::new());
        let echo = |socket: Socket| async move {
            match socket {
                Socket::Tcp(mut tcp) => {
                    let byte = tcp.read_u8().await.expect("a byte");
                    tcp.write_u8(byte).await.expect("it is taken");
                }
                Socket::Unix(mut unix) => {
                    let byte = unix.read_u8().await.expect("a byte");
                    unix.write_u8(byte).await.expect("it is taken");
                }
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut tcp = TcpStream::connect(listener.local_addr()?).await?;
        let (accepted, _) = listener.accept().await?;
        let socket = Socket::tcp(accepted, KeepAlive::default())?;
        workers.serve(&tasks, socket, echo);
        let (ours, mut unix) = UnixStream::pair()?;
        workers.serve(&tasks, Socket::Unix(ours), echo);
        tcp.write_u8(1).await?;
        unix.write_u8(2).await?;
        assert_eq!((tcp.read_u8().await?, unix.read_u8().await?), (1, 2));
        Ok(())
    }

    #[tokio::test]
    async fn one_that_has_no_turns_left_does_not_answer() {
        let (workers, tasks) = (workers(2), TaskTracker::new());
        let (ours, _peer) = UnixStream::pair().expect("a pair of sockets");
        let (go_on, blocked) = mpsc::channel::<()>();
        let (began, begins) = oneshot::channel();
        workers.serve(&tasks, Socket::Unix(ours), |_| async move {
            let _ = began.send(());
            let _ = blocked.recv();
        });
        begins.await.expect("it is served");
        let answer = timeout(Duration::from_millis(50), workers.answer()).await;
        assert!(answer.is_err(), "one of two is stuck");
        drop(go_on);
        workers.answer().await;
    }

    #[tokio::test]
    async fn dropped_they_drop_what_they_serve() {
        let (workers, tasks) = (workers(1), TaskTracker::new());
        let (_, mut peer) = serve_one(&workers, &tasks).await;
        drop(workers);
        assert!(peer.read_u8().await.is_err(), "the end of the stream");
        tasks.close();
        tasks.wait().await;
    }
}
