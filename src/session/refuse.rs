//! A client that may not log in: what it reads, what the log says, and that the log does not flood.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tracing::warn;

use super::DataPort;
use super::denials::Verdict;
use super::failure::Failure;
use super::record::Record;
use super::repeats::LeftOut;
use crate::net::stream::Stream;

/// How often the log is told what it does not show.
const LEFT_OUT_EVERY: Duration = Duration::from_secs(60);

/// What a client that gave way gets to take its error: it nearly always fits into the socket.
const GAVE_WAY: Duration = Duration::from_millis(100);

impl DataPort {
    /// Tells a client why it may not log in, and closes.
    pub(super) async fn refuse(&self, mut client: Stream, record: &Record, failure: &Failure) {
        self.log_failure(record, failure);
        if let Some(reply) = failure.reply(record.client) {
            // it is closed next, either way
            let _ = client.queue_packet(&reply.encode());
        }
        if let Failure::GaveWay { .. } = failure {
            // Its slot is another's by now, so it must not stay for long. It has said nothing that would be lost.
            let _ = timeout(GAVE_WAY, client.flush()).await;
        } else {
            client.close().await;
        }
    }

    /// The same for a client that was not greeted. Nothing of its own can be on the way, so nothing is waited for.
    pub(super) async fn refuse_in_place_of_greeting(
        &self,
        mut client: Stream,
        record: &Record,
        failure: &Failure,
    ) {
        self.log_failure(record, failure);
        if let Some(reply) = failure.reply(record.client) {
            let _ = client
                .write_packet(&reply.encode_in_place_of_greeting())
                .await;
        }
    }

    fn log_failure(&self, record: &Record, failure: &Failure) {
        record.count_failure(failure);
        // One user's many refusals must not hide another's.
        let reason = match &record.user {
            Some(user) => format!("{user}: {failure}"),
            None => failure.to_string(),
        };
        let sessions = &self.handles.sessions;
        if matches!(failure, Failure::Left) || sessions.shows(Verdict::Refused, &reason) {
            record.log_failure(failure);
        }
    }

    /// Tells the log each minute how many refusals it does not show.
    ///
    /// Cancel safe.
    pub async fn report_left_out(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LEFT_OUT_EVERY).await;
            self.log_left_out();
        }
    }

    /// Tells the log how many refusals it does not show since it was last told.
    pub fn log_left_out(&self) {
        let sessions = &self.handles.sessions;
        for LeftOut { reason, count } in sessions.take_left_out(Verdict::Refused) {
            warn!(count, reason, "refused, and not shown one by one");
        }
        for LeftOut { reason, count } in sessions.take_left_out(Verdict::Reported) {
            warn!(count, reason, "would be refused, and not shown one by one");
        }
    }
}
