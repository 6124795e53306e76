//! What a chat node reports, as it comes: the runner waits on this instead of on the clock.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use waku_groupchat_core::api::{Event, EventRecord};

use super::client::Client;
use super::wait::InVain;

/// How long one request waits for the next event.
const WAIT: Duration = Duration::from_secs(2);
/// Pause before a node that does not answer is asked again.
const PAUSE: Duration = Duration::from_millis(100);

/// All events of one node so far, in order. Goes on over a restart of the node.
#[derive(Debug)]
pub struct Events {
    so_far: watch::Receiver<Vec<EventRecord>>,
    task: JoinHandle<()>,
}

impl Events {
    /// Follows a node.
    pub fn follow(client: Client) -> Self {
        let (sender, so_far) = watch::channel(Vec::new());
        let task = tokio::spawn(follow(client, sender));
        Self { so_far, task }
    }

    /// Those so far.
    pub fn so_far(&self) -> Vec<EventRecord> {
        self.so_far.borrow().clone()
    }

    /// Waits until `found` gives something of the events so far.
    pub async fn until<T>(
        &self,
        what: impl Into<String>,
        deadline: Duration,
        mut found: impl FnMut(&[EventRecord]) -> Option<T>,
    ) -> Result<T, InVain> {
        let mut so_far = self.so_far.clone();
        let mut answer = None;
        let waited = so_far.wait_for(|events| {
            answer = found(events);
            answer.is_some()
        });
        // A closed channel means that nothing more comes: in vain as well.
        let _ = tokio::time::timeout(deadline, waited).await;
        answer.ok_or_else(|| InVain { what: what.into(), deadline })
    }

    /// Waits until an event of this kind is there, or was.
    pub async fn until_one(
        &self,
        what: impl Into<String>,
        deadline: Duration,
        kind: impl Fn(&Event) -> bool,
    ) -> Result<(), InVain> {
        let one = |records: &[EventRecord]| {
            records.iter().rev().any(|record| kind(&record.event)).then_some(())
        };
        self.until(what, deadline, one).await
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(client: Client, sender: watch::Sender<Vec<EventRecord>>) {
    let mut after = 0;
    while !sender.is_closed() {
        match client.events(after, WAIT).await {
            Ok(new) => {
                after = new.last().map_or(after, |event| event.cursor);
                if !new.is_empty() {
                    sender.send_modify(|events| events.extend(new));
                }
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}
