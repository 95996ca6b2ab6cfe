//! The TLS of one place while time goes by: which generation is in force, and what replaces it.
//!
//! A *reload* is asked for and always reads the files again. A *reread* happens when a connection is made and the files
//! have changed. Either loads all of a place's files as one, or changes nothing. Connections that exist keep theirs.

pub(crate) mod counts;
pub(crate) mod snapshot;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    task::spawn_blocking,
};
use tracing::{info, warn};

use crate::tls::{
    channel::{
        counts::{LoadCause, LoadResult, TlsCounts},
        snapshot::{Contents, Look, Moving, Snapshot},
    },
    channel_name::ChannelName,
    loaded::{Loaded, acceptor::AcceptorError, connector::ConnectorError, expiry::Expiry},
    sources::{Sources, problem::MaterialError},
};

/// Whether files are looked at again without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reread {
    /// Whenever a connection is made.
    AtConnect,
    /// Only in a reload.
    Never,
}

/// What becomes of new connections when a reload fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// They get what was in force.
    Keep,
    /// They get no TLS until a reload or reread succeeds (`NO ROLLBACK ON ERROR`).
    TurnOff,
}

/// Why files did not become a generation.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// TLS towards clients.
    #[error(transparent)]
    Acceptor(#[from] AcceptorError),
    /// TLS towards a backend.
    #[error(transparent)]
    Connector(#[from] ConnectorError),
    /// A file that cannot be read.
    #[error(transparent)]
    Material(#[from] MaterialError),
    /// They changed whenever they were read.
    #[error("the files changed each time that they were read; try again when they are written")]
    Moving,
    /// The process is ending, or loading met a mistake of ours.
    #[error("loading was broken off")]
    BrokenOff,
}

impl From<Moving> for LoadError {
    fn from(Moving: Moving) -> Self {
        Self::Moving
    }
}

/// What is in force, from one load to the next.
#[derive(Debug)]
pub struct Generation<T> {
    /// Counted from 1.
    pub number: u64,
    /// [`Acceptor`](super::Acceptor) or [`Connector`](super::Connector).
    pub tls: T,
    contents: Contents,
}

/// How a generation is made of sources whose files have been read. None is a place without TLS.
type Load<T> = dyn Fn(Sources) -> Result<Option<T>, LoadError> + Send + Sync;

/// The TLS of one place.
pub struct Channel<T> {
    name: ChannelName,
    reread: Reread,
    sources: Sources,
    load: Box<Load<T>>,
    current: ArcSwapOption<Generation<T>>,
    /// Of the last look at the files, whatever came of it.
    seen: ArcSwapOption<Snapshot>,
    /// Why the last attempt failed; none when it did not.
    fault: ArcSwapOption<LoadError>,
    /// Looks that have begun.
    looks: AtomicU64,
    /// Held during a look, so that there is one at a time.
    book: Arc<Mutex<Book>>,
    counts: TlsCounts,
}

/// What only the look that is under way uses.
#[derive(Debug, Default)]
struct Book {
    /// Generations so far.
    generations: u64,
    /// What was last loaded, or could not be.
    tried: Option<Contents>,
}

/// Why files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Start,
    Asked(OnError),
    /// They are not as they were last seen.
    Changed,
    /// Time has passed: what could not be used may be good now, a date has come.
    Poll,
    /// Our own certificate nears its end.
    Renewal,
}

impl From<Cause> for LoadCause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Start => Self::Start,
            Cause::Asked(_) => Self::Asked,
            Cause::Changed | Cause::Poll => Self::Changed,
            Cause::Renewal => Self::Renewal,
        }
    }
}

impl<T: Loaded> Channel<T> {
    /// Loads for the first time. Where that fails there is no TLS until a reload or reread succeeds;
    /// [`fault`](Self::fault) says why.
    pub fn open(
        name: ChannelName,
        reread: Reread,
        sources: Sources,
        load: impl Fn(Sources) -> Result<Option<T>, LoadError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let mut channel = Self {
            name,
            reread,
            sources,
            load: Box::new(load),
            current: ArcSwapOption::empty(),
            seen: ArcSwapOption::empty(),
            fault: ArcSwapOption::empty(),
            looks: AtomicU64::new(0),
            book: Arc::default(),
            counts: TlsCounts::default(),
        };
        let mut book = Book::default();
        // What it comes to is in the channel.
        let _ = channel.look(&mut book, Cause::Start);
        channel.book = Arc::new(Mutex::new(book));
        Arc::new(channel)
    }

    /// Which place it is.
    pub fn name(&self) -> ChannelName {
        self.name
    }

    /// What has come of its handshakes, which whoever does them counts here, and of its loads.
    pub fn counts(&self) -> &TlsCounts {
        &self.counts
    }

    /// Where its material comes from.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// What is in force; none is no TLS.
    pub fn current(&self) -> Option<Arc<Generation<T>>> {
        self.current.load_full()
    }

    /// Why the last attempt to load failed. None when it did not.
    pub fn fault(&self) -> Option<Arc<LoadError>> {
        self.fault.load_full()
    }

    /// What a connection that is made now gets: where rereading is on, the files as they are now, if they can be used.
    ///
    /// While nothing has changed that costs one `stat` for each file. When something has, the connection waits for it
    /// to be loaded: with the old generation a client of a new CA would be refused after its file is in place. Whoever
    /// comes meanwhile waits too, for at most the one look that begins next.
    ///
    /// Cancel safe: what was begun goes on.
    pub async fn fresh(self: &Arc<Self>) -> Option<Arc<Generation<T>>> {
        if self.reread == Reread::AtConnect && !self.is_unchanged() {
            let begun = self.looks.load(Ordering::Acquire);
            let book = Arc::clone(&self.book).lock_owned().await;
            let another_began = self.looks.load(Ordering::Acquire) > begun;
            if !another_began && !self.is_unchanged() {
                // A failure has been logged; what was in force still is.
                let _ = self.look_aside(book, Cause::Changed).await;
            }
        }
        self.current()
    }

    /// Reads the files again, changed or not, and puts them in force whole or not at all. Each attempt is independent of
    /// the ones before.
    ///
    /// Cancel safe: what was begun goes on.
    pub async fn reload(self: &Arc<Self>, on_error: OnError) -> Result<(), Arc<LoadError>> {
        let book = Arc::clone(&self.book).lock_owned().await;
        self.look_aside(book, Cause::Asked(on_error)).await
    }

    /// What a proxy without clients does from time to time, so that nothing is missed. Cancel safe.
    pub async fn poll(self: &Arc<Self>) {
        let has_failed = self.fault.load().is_some();
        if self.reread == Reread::AtConnect && (has_failed || !self.is_unchanged()) {
            let book = Arc::clone(&self.book).lock_owned().await;
            // A failure has been logged; what was in force still is.
            let _ = self.look_aside(book, Cause::Poll).await;
        }
    }

    /// Loads again for a certificate of our own making. Cancel safe.
    pub async fn renew(self: &Arc<Self>) {
        let book = Arc::clone(&self.book).lock_owned().await;
        // A failure has been logged; what was in force still is.
        let _ = self.look_aside(book, Cause::Renewal).await;
    }

    /// Whether the files are as they were last seen.
    fn is_unchanged(&self) -> bool {
        self.seen
            .load()
            .as_ref()
            .is_some_and(|seen| seen.is_current())
    }

    /// Looks on a thread that serves no sessions. The book goes along, so that a caller who leaves does not end it.
    async fn look_aside(
        self: &Arc<Self>,
        mut book: OwnedMutexGuard<Book>,
        cause: Cause,
    ) -> Result<(), Arc<LoadError>> {
        let this = Arc::clone(self);
        spawn_blocking(move || this.look(&mut book, cause))
            .await
            .unwrap_or_else(|_| Err(Arc::new(LoadError::BrokenOff)))
    }

    fn look(&self, book: &mut Book, cause: Cause) -> Result<(), Arc<LoadError>> {
        self.looks.fetch_add(1, Ordering::AcqRel);
        let loaded = match Look::take(&self.sources) {
            Ok(Look { snapshot, sources }) => {
                let contents = *snapshot.contents();
                self.seen.store(Some(Arc::new(snapshot)));
                if !self.must_load(book, cause, &contents) {
                    return Ok(());
                }
                book.tried = Some(contents);
                sources
                    .map_err(LoadError::from)
                    .and_then(&self.load)
                    .map(|tls| (tls, contents))
            }
            Err(moving) => Err(moving.into()),
        };
        match loaded {
            Ok((tls, contents)) => {
                self.replace(book, cause, tls, contents);
                Ok(())
            }
            Err(error) => Err(self.fail(cause, error)),
        }
    }

    /// Whether to load these contents.
    fn must_load(&self, book: &mut Book, cause: Cause, contents: &Contents) -> bool {
        let is_in_force = self
            .current
            .load()
            .as_ref()
            .is_some_and(|current| current.contents == *contents);
        let was_tried = book.tried.as_ref() == Some(contents);
        match cause {
            Cause::Start | Cause::Asked(_) | Cause::Renewal => true,
            Cause::Changed | Cause::Poll if is_in_force => {
                book.tried = Some(*contents);
                if self.fault.swap(None).is_some() {
                    info!(channel = %self.name, "the certificates' files are again those in force");
                }
                false
            }
            Cause::Changed => !was_tried,
            Cause::Poll => !was_tried || self.fault.load().is_some(),
        }
    }

    fn replace(&self, book: &mut Book, cause: Cause, tls: Option<T>, contents: Contents) {
        book.generations += 1;
        let generation = tls.map(|tls| Generation {
            number: book.generations,
            tls,
            contents,
        });
        let generation = generation.map(Arc::new);
        let before = self.current.swap(generation.clone());
        self.fault.store(None);
        self.counts.count_load(cause.into(), LoadResult::Ok);
        let warnings = |of: &Option<Arc<Generation<T>>>| -> Vec<String> {
            let warnings = of.iter().flat_map(|generation| generation.tls.warnings());
            warnings.map(ToString::to_string).collect()
        };
        let old = warnings(&before);
        for warning in warnings(&generation) {
            if !old.contains(&warning) {
                warn!(channel = %self.name, "{warning}");
            }
        }
        let message = match cause {
            // the caller says it
            Cause::Start => return,
            Cause::Asked(_) => "TLS reloaded",
            Cause::Changed | Cause::Poll => "TLS reread: the certificates' files have changed",
            Cause::Renewal => "certificate renewed",
        };
        let mut certificates = generation.iter().flat_map(|new| new.tls.certificates());
        let own = certificates.find(|each| each.what != "ssl-ca");
        info!(
            channel = %self.name,
            generation = book.generations,
            certificate = own.map(|own| &*own.subject),
            not_after = own.map(Expiry::end),
            "{message}"
        );
    }

    fn fail(&self, cause: Cause, error: LoadError) -> Arc<LoadError> {
        let error = Arc::new(error);
        self.counts.count_load(cause.into(), LoadResult::Failed);
        if cause == Cause::Asked(OnError::TurnOff) {
            self.current.store(None);
        }
        let before = self.fault.swap(Some(Arc::clone(&error)));
        let is_news = before.is_none_or(|before| before.to_string() != error.to_string());
        let message = match cause {
            // the caller says it
            Cause::Start | Cause::Asked(_) => None,
            Cause::Changed | Cause::Poll if self.current.load().is_none() => {
                Some("the certificates' files still cannot be used: no TLS")
            }
            Cause::Changed | Cause::Poll => Some(
                "the certificates' files have changed and cannot be used; the last good ones stay in force",
            ),
            Cause::Renewal => {
                Some("the certificate cannot be made anew; the old one stays in force")
            }
        };
        if let Some(message) = message.filter(|_| is_news) {
            warn!(channel = %self.name, %error, "{message}");
        }
        error
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("name", &self.name)
            .field("reread", &self.reread)
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
