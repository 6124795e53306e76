//! From version 2 to 3: what is published or awaited may travel in segments, and the shared part of
//! an invitation in a frame.

use serde::Deserialize;
use waku_groupchat_waku::MessageHash;

use super::Fault;
use super::invite::shared_frame;
use super::records::{
    AwaitedRecord, OutgoingKind, OutgoingRecord, OutgoingState, Secret32, decode, write,
};
use super::schema::Progress;
use crate::Timestamp;
use crate::store::Overlay;

/// All at once: both are few.
pub(super) fn room_for_segments(overlay: &Overlay<'_>) -> Result<Progress, Fault> {
    for (key, value) in overlay.scan(b"out/")? {
        let record: SecondOutgoing = decode(&value)?;
        write(overlay, key, &record.today()?)?;
    }
    for (key, value) in overlay.scan(b"awaited/")? {
        let SecondAwaited { content_key, group_secrets, at, came } = decode(&value)?;
        let record = AwaitedRecord { content_key, group_secrets, at, came, whole: None };
        write(overlay, key, &record)?;
    }
    Ok(Progress::Done)
}

/// [`OutgoingRecord`] in version 2.
#[derive(Deserialize)]
struct SecondOutgoing {
    kind: OutgoingKind,
    content: Vec<u8>,
    state: OutgoingState,
    due: Timestamp,
    attempts: u32,
    failures: u32,
    sent: Vec<(MessageHash, Timestamp)>,
}

impl SecondOutgoing {
    fn today(self) -> Result<OutgoingRecord, Fault> {
        let Self { kind, content, state, due, attempts, failures, sent } = self;
        let content = match kind {
            OutgoingKind::InvitationShared { .. } => {
                shared_frame(&content).ok_or(Fault::Bug("a shared part of one's own"))?
            }
            _ => content,
        };
        Ok(OutgoingRecord { kind, content, state, due, attempts, failures, sent, part: None })
    }
}

/// [`AwaitedRecord`] in version 2.
#[derive(Deserialize)]
struct SecondAwaited {
    content_key: Secret32,
    group_secrets: Vec<u8>,
    at: Timestamp,
    came: Timestamp,
}
