//! go-waku's events: its process-wide callback, and the credit that holds it back.
//!
//! The callback is registered through `waku-sys`, not through the typed one of `waku-bindings`: that
//! one rewrites the encoding part of a content topic in lower case and drops messages without a
//! timestamp into an untyped case, so a message would not always come out byte for byte.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use serde::Deserialize;

use crate::outgoing::Outgoing;
use crate::wire::{self, Failure, Message, MessageEvent};

/// Most credit that may be open: the other end must be able to queue as many events.
pub(crate) const MAX_CREDIT: u32 = 4096;

/// Where the callback sends; set once, for the bindings know one callback a process.
static SINK: OnceLock<Sink> = OnceLock::new();

struct Sink {
    outgoing: Outgoing,
    credit: Arc<Credit>,
}

/// How many events may still be sent. Without any, go-waku's threads that bring messages wait; its
/// own queue of about 2,000 messages a topic fills, and beyond that go-waku drops.
#[derive(Debug, Default)]
pub(crate) struct Credit {
    open: Mutex<u32>,
    added: Condvar,
}

impl Credit {
    /// Registers the callback. No credit is open at first.
    pub(crate) fn install(outgoing: Outgoing) -> Arc<Self> {
        let credit = Arc::new(Self::default());
        if SINK.set(Sink { outgoing, credit: Arc::clone(&credit) }).is_ok() {
            register();
        }
        credit
    }

    /// Opens more credit.
    ///
    /// # Errors
    /// More than [`MAX_CREDIT`] would be open; nothing is added then.
    pub(crate) fn add(&self, events: u32) -> Result<(), Failure> {
        let mut open = self.lock();
        let sum = open.saturating_add(events);
        if sum > MAX_CREDIT {
            return Err(Failure::bad_request(format!("at most {MAX_CREDIT} events may be open")));
        }
        *open = sum;
        self.added.notify_all();
        Ok(())
    }

    /// Waits for one credit and takes it.
    fn take(&self) {
        let mut open = self.lock();
        while *open == 0 {
            open = self.added.wait(open).unwrap_or_else(PoisonError::into_inner);
        }
        *open -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, u32> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A signal of go-waku (`library/signals.go`).
#[derive(Deserialize)]
struct Signal {
    #[serde(rename = "type")]
    kind: String,
    event: serde_json::Value,
}

/// The event of a `message` signal (`subscriptionMsg` in `library/node.go`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Received {
    message_id: String,
    pubsub_topic: String,
    waku_message: Message,
}

/// Turns a signal into an event; other signals than `message` give `None`.
fn read(signal: &[u8]) -> serde_json::Result<Option<MessageEvent>> {
    let signal: Signal = serde_json::from_slice(signal)?;
    if signal.kind != "message" {
        return Ok(None);
    }
    let Received { message_id, pubsub_topic, waku_message } = serde_json::from_value(signal.event)?;
    Ok(Some(MessageEvent { pubsub_topic, message_id, message: waku_message }))
}

fn deliver(signal: &[u8]) {
    let Some(sink) = SINK.get() else { return };
    match read(signal) {
        Ok(Some(event)) => {
            sink.credit.take();
            sink.outgoing.event(wire::event(&event));
        }
        Ok(None) => {}
        // Our bug: the types above do not fit go-waku's.
        Err(error) => eprintln!("waku-groupchat-bindings-engine: unreadable event: {error}"),
    }
}

#[expect(unsafe_code, reason = "the C interface of go-waku")]
fn register() {
    /// Runs on go-waku's threads, one a subscribed topic.
    unsafe extern "C" fn on_event(_code: c_int, signal: *const c_char, _user: *mut c_void) {
        if !signal.is_null() {
            // SAFETY: go-waku passes a string that ends in NUL and frees it after this call.
            deliver(unsafe { CStr::from_ptr(signal) }.to_bytes());
        }
    }
    // SAFETY: the callback is a plain function, valid as long as the process.
    unsafe { waku_sys::waku_set_event_callback(Some(on_event)) };
}

#[cfg(test)]
mod tests {
    use super::{Credit, MAX_CREDIT, read};

    #[test]
    fn a_message_keeps_what_go_waku_gives() {
        let signal = br#"{"type":"message","event":{"messageId":"0x01","pubsubTopic":"/waku/2/rs/0/5","wakuMessage":{"payload":"AAE=","contentTopic":"/A/1/b/PROTO","version":0,"timestamp":"17","meta":"","ephemeral":false}}}"#;
        let event = read(signal).expect("parses").expect("a message");
        assert_eq!(event.message.content_topic, "/A/1/b/PROTO");
        assert_eq!(event.message.timestamp, Some(17));
        assert_eq!(event.message.payload, "AAE=");
    }

    #[test]
    fn other_signals_are_no_events() {
        assert!(read(br#"{"type":"other","event":{}}"#).expect("parses").is_none());
        assert!(read(b"{}").is_err());
    }

    #[test]
    fn credit_has_a_limit() {
        let credit = Credit::default();
        credit.add(MAX_CREDIT).expect("allowed");
        credit.add(1).expect_err("refused");
        credit.take();
        credit.add(1).expect("allowed");
    }
}
