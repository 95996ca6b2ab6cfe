//! Generations of one place, refusals first. What is loaded here is only text, so that every case is quick and plain.

use std::{fs, path::PathBuf, sync::Barrier};

use tempfile::TempDir;

use super::*;
use crate::tls::sources::{
    PemSource,
    oddity::MaterialWarning,
    pem,
    problem::{Place, Problem},
};

/// A CA file and a certificate file that fit each other if they hold the same text.
#[derive(Debug)]
struct Pair(String);

impl Loaded for Pair {
    fn certificates(&self) -> &[Expiry] {
        &[]
    }

    fn warnings(&self) -> &[MaterialWarning] {
        &[]
    }
}

fn load(sources: Sources) -> Result<Option<Pair>, LoadError> {
    let text = |source: Option<PemSource>| {
        let source = source.expect("given");
        assert!(matches!(source, PemSource::Read { .. }), "{source:?}");
        String::from_utf8(pem::read(&source).expect("in memory")).expect("text")
    };
    let (ca, cert) = (text(sources.ca), text(sources.cert));
    if ca == cert {
        return Ok(Some(Pair(ca)));
    }
    let place = Place::Key("ssl-cert");
    Err(MaterialError::new(place, Problem::KeyMismatch).into())
}

struct Files(TempDir);

impl Files {
    fn with(text: &str) -> Self {
        let files = Self(TempDir::new().expect("a folder"));
        files.write("ca", text);
        files.write("cert", text);
        files
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let new = self.at("new");
        fs::write(&new, text).expect("written");
        fs::rename(new, self.at(name)).expect("renamed");
    }

    fn sources(&self) -> Sources {
        Sources {
            ca: Some(PemSource::File(self.at("ca"))),
            cert: Some(PemSource::File(self.at("cert"))),
            ..Sources::default()
        }
    }

    fn channel(&self, reread: Reread) -> Arc<Channel<Pair>> {
        Channel::open(ChannelName::Source, reread, self.sources(), load)
    }
}

/// Number and text of a generation.
#[derive(Debug, PartialEq, Eq)]
struct Seen(u64, String);

fn seen(generation: Option<Arc<Generation<Pair>>>) -> Option<Seen> {
    generation.map(|generation| Seen(generation.number, generation.tls.0.clone()))
}

fn number(number: u64, text: &str) -> Seen {
    Seen(number, text.to_owned())
}

#[tokio::test]
async fn failed_reload_says_why_and_changes_nothing() {
    let files = Files::with("one");
    let channel = files.channel(Reread::Never);
    let before = channel.current().expect("loaded");
    files.write("cert", "two");
    let error = channel.reload(OnError::Keep).await.expect_err("refused");
    assert!(error.to_string().starts_with("ssl-cert: "), "{error}");
    fs::remove_file(files.at("cert")).expect("removed");
    let error = channel.reload(OnError::Keep).await.expect_err("refused");
    let expected = format!(
        "ssl-cert {}: there is no such file",
        files.at("cert").display()
    );
    assert_eq!(error.to_string(), expected);
    assert!(channel.fault().is_some());
    let after = channel.current().expect("in force");
    assert!(Arc::ptr_eq(&before, &after));
}

#[tokio::test]
async fn reload_after_failed_ones_succeeds() {
    let files = Files::with("one");
    let channel = files.channel(Reread::Never);
    files.write("cert", "two");
    for _ in 0..3 {
        assert!(channel.reload(OnError::Keep).await.is_err());
    }
    files.write("ca", "two");
    assert!(channel.reload(OnError::Keep).await.is_ok());
    assert_eq!(seen(channel.current()), Some(number(2, "two")));
    assert!(channel.fault().is_none());
}

#[tokio::test]
async fn failed_reload_without_rollback_turns_tls_off_until_one_succeeds() {
    let files = Files::with("one");
    let channel = files.channel(Reread::AtConnect);
    files.write("cert", "two");
    assert!(channel.reload(OnError::TurnOff).await.is_err());
    assert_eq!(seen(channel.current()), None);
    assert_eq!(seen(channel.fresh().await), None);
    files.write("ca", "two");
    assert_eq!(seen(channel.fresh().await), Some(number(2, "two")));
}

/// Its sessions cannot be resumed: whoever asks for it wants that.
#[tokio::test]
async fn reload_of_unchanged_files_is_a_new_generation() {
    let files = Files::with("one");
    let channel = files.channel(Reread::AtConnect);
    assert!(channel.reload(OnError::Keep).await.is_ok());
    assert_eq!(seen(channel.current()), Some(number(2, "one")));
}

#[tokio::test]
async fn without_rereading_changed_files_wait_for_a_reload() {
    let files = Files::with("one");
    let channel = files.channel(Reread::Never);
    files.write("ca", "two");
    files.write("cert", "two");
    channel.poll().await;
    assert_eq!(seen(channel.fresh().await), Some(number(1, "one")));
    assert!(channel.reload(OnError::Keep).await.is_ok());
    assert_eq!(seen(channel.fresh().await), Some(number(2, "two")));
}

#[tokio::test]
async fn torn_pair_on_disk_is_never_in_force() {
    let files = Files::with("one");
    let channel = files.channel(Reread::AtConnect);
    files.write("cert", "two");
    assert_eq!(seen(channel.fresh().await), Some(number(1, "one")));
    assert!(channel.fault().is_some());
    files.write("ca", "two");
    assert_eq!(seen(channel.fresh().await), Some(number(2, "two")));
    assert!(channel.fault().is_none());
}

#[tokio::test]
async fn files_that_were_put_back_are_those_in_force() {
    let files = Files::with("one");
    let channel = files.channel(Reread::AtConnect);
    files.write("cert", "two");
    assert_eq!(seen(channel.fresh().await), Some(number(1, "one")));
    files.write("cert", "one");
    assert_eq!(seen(channel.fresh().await), Some(number(1, "one")));
    assert!(channel.fault().is_none());
    // The torn state is no old acquaintance when it comes again.
    files.write("cert", "two");
    assert_eq!(seen(channel.fresh().await), Some(number(1, "one")));
    assert!(channel.fault().is_some());
}

#[tokio::test]
async fn same_content_is_the_same_generation() {
    let files = Files::with("one");
    let channel = files.channel(Reread::AtConnect);
    for _ in 0..3 {
        files.write("ca", "one");
        assert_eq!(seen(channel.fresh().await), Some(number(1, "one")));
    }
}

#[tokio::test]
async fn files_that_were_bad_at_start_turn_tls_on_when_they_are_good() {
    for reload in [true, false] {
        let files = Files::with("one");
        files.write("cert", "two");
        let channel = files.channel(Reread::AtConnect);
        assert_eq!(seen(channel.fresh().await), None);
        assert!(channel.fault().is_some());
        files.write("ca", "two");
        if reload {
            assert!(channel.reload(OnError::Keep).await.is_ok());
        }
        assert_eq!(seen(channel.fresh().await), Some(number(1, "two")));
    }
}

/// A certificate that was not valid yet, say: its files never change again.
#[tokio::test]
async fn poll_tries_again_what_could_not_be_used() {
    let files = Files::with("one");
    let good = Arc::new(AtomicU64::new(0));
    let channel = Channel::open(ChannelName::Source, Reread::AtConnect, files.sources(), {
        let good = Arc::clone(&good);
        move |sources| match good.load(Ordering::Relaxed) {
            0 => Err(LoadError::Moving),
            _ => load(sources),
        }
    });
    channel.poll().await;
    assert_eq!(seen(channel.current()), None);
    good.store(1, Ordering::Relaxed);
    assert_eq!(seen(channel.fresh().await), None, "a connection does not");
    channel.poll().await;
    assert_eq!(seen(channel.current()), Some(number(1, "one")));
}

/// At most one is built for each change, however many connections are made; and each of them waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_made_after_a_change_share_the_one_generation_of_it() {
    const CONNECTIONS: usize = 32;
    let files = Files::with("one");
    let loads = Arc::new(AtomicU64::new(0));
    let channel = Channel::open(ChannelName::Source, Reread::AtConnect, files.sources(), {
        let loads = Arc::clone(&loads);
        move |sources| {
            loads.fetch_add(1, Ordering::Relaxed);
            load(sources)
        }
    });
    files.write("cert", "two");
    files.write("ca", "two");
    let start = Arc::new(tokio::sync::Barrier::new(CONNECTIONS));
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (channel, start) = (Arc::clone(&channel), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait().await;
                channel.fresh().await
            })
        })
        .collect();
    for connection in connections {
        let generation = connection.await.expect("no panic");
        assert_eq!(seen(generation), Some(number(2, "two")));
    }
    assert_eq!(loads.load(Ordering::Relaxed), 2, "start and change");
}

/// A client that leaves while its connection waits must not leave the others waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_that_gives_up_does_not_end_the_load() {
    let files = Files::with("one");
    let gate = Arc::new(Barrier::new(2));
    let begun = Arc::new(tokio::sync::Notify::new());
    let channel = Channel::open(ChannelName::Source, Reread::AtConnect, files.sources(), {
        let (gate, begun) = (Arc::clone(&gate), Arc::clone(&begun));
        move |sources| {
            let loaded = load(sources)?;
            if loaded.as_ref().is_some_and(|pair| pair.0 == "two") {
                begun.notify_one();
                gate.wait();
            }
            Ok(loaded)
        }
    });
    files.write("cert", "two");
    files.write("ca", "two");
    let first = tokio::spawn({
        let channel = Arc::clone(&channel);
        async move { channel.fresh().await }
    });
    begun.notified().await;
    first.abort();
    assert!(first.await.is_err());
    assert_eq!(seen(channel.current()), Some(number(1, "one")));
    gate.wait();
    assert_eq!(seen(channel.fresh().await), Some(number(2, "two")));
}

#[test]
fn channels_have_the_names_of_the_statement() {
    for name in ChannelName::ALL {
        assert_eq!(name.to_string().parse(), Ok(name));
    }
    assert_eq!("mysql_main".parse(), Ok(ChannelName::MysqlMain));
    assert!("main".parse::<ChannelName>().is_err());
}
