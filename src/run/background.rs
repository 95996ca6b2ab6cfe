//! What goes on beside the sessions, and is ended together.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Tasks that go on until they are ended together.
#[derive(Debug, Default)]
pub(super) struct Background {
    pub(super) tasks: TaskTracker,
    pub(super) closing: CancellationToken,
}

impl Background {
    /// Runs a task until the end, if it does not end before. It must be cancel safe.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let closing = self.closing.clone();
        self.tasks
            .spawn(async move { closing.run_until_cancelled(task).await });
    }

    /// Ends it all, and waits for that.
    pub(super) async fn end(&self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
