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

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::GroupId;
    use crate::proto::group as pb;
    use crate::store::MemoryStore;

    /// Structs and tuples have one encoding.
    #[test]
    fn what_was_on_its_way_goes_on() {
        let (group, key) = (GroupId::from_bytes([1; GroupId::LEN]), Secret32([2; 32]));
        let shared = pb::InvitationShared { welcome: vec![3; 40], ..Default::default() };
        let (now, hash) = (Timestamp::from_secs(9), MessageHash::from_bytes([4; 32]));
        let kind = OutgoingKind::InvitationShared { group, content_key: key.clone() };
        let (content, sent) = (shared.encode_to_vec(), vec![(hash, now)]);
        let invitation = (kind, content, OutgoingState::Published, now, 5_u32, 6_u32, sent.clone());
        let none: Vec<(MessageHash, Timestamp)> = Vec::new();
        let (waiting, content) = (OutgoingState::Waiting, vec![7_u8; 9]);
        let link = (OutgoingKind::Link, content, waiting, now, 0_u32, 0_u32, none);
        let store = MemoryStore::new();
        let overlay = Overlay::new(&store);
        write(&overlay, b"out/1".to_vec(), &invitation).expect("memory");
        write(&overlay, b"out/2".to_vec(), &link).expect("memory");
        write(&overlay, b"awaited/1".to_vec(), &(&key, vec![8_u8; 10], now, now)).expect("memory");
        assert_eq!(room_for_segments(&overlay).expect("memory"), Progress::Done);
        let read = |key: &[u8]| overlay.get(key).expect("memory").expect("kept");
        let record: OutgoingRecord = decode(&read(b"out/1")).expect("today's");
        let frame = pb::Frame::decode(record.content.as_slice()).expect("a frame");
        assert_eq!(frame.body, Some(pb::frame::Body::Shared(shared)));
        assert_eq!((record.attempts, record.failures, record.sent), (5, 6, sent));
        assert!(record.part.is_none() && record.state == OutgoingState::Published);
        let record: OutgoingRecord = decode(&read(b"out/2")).expect("today's");
        assert_eq!(record.content, [7; 9]);
        let record: AwaitedRecord = decode(&read(b"awaited/1")).expect("today's");
        assert!(record.content_key == key && record.whole.is_none() && record.at == now);
    }
}
