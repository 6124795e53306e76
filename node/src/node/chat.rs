//! The group chat as the options have it.

use std::sync::Arc;

use waku_groupchat_storage::sealed::ChatKey;
use waku_groupchat_waku::{ContentTopic, PubsubTopic, TopicError, autoshard};

use super::data_dir::DataDir;
use super::start::StartError;
use crate::chat::{ChatExtension, ChatOptions, StreamOptions, Token};
use crate::extension::Plan;
use crate::options::Options;

/// All content topics of the chat have this application and version (`docs/spec`, topics), so they
/// are on one shard.
const CONTENT_TOPIC: &str = "/wgc/1/shard/proto";

/// The chat, if it is on. Makes its token on the first start.
pub(super) fn plan(
    options: &Options,
    data_dir: &DataDir,
    key: Option<ChatKey>,
) -> Result<Option<Plan>, StartError> {
    if !options.group_chat.enabled {
        return Ok(None);
    }
    let topic = pubsub_topic(options)
        .map_err(|source| StartError::Shard { name: ChatExtension::NAME, source })?;
    let token = Token::load_or_create(&options.token_file())?;
    let chat = ChatOptions {
        core: options.group_chat.core_config(topic),
        queue_capacity: options.group_chat.queue_capacity.get(),
        streams: StreamOptions::default(),
        key: key.map(Arc::new),
    };
    Ok(Some(ChatExtension::plan(chat, data_dir.path().to_owned(), token)))
}

fn pubsub_topic(options: &Options) -> Result<PubsubTopic, TopicError> {
    let content: ContentTopic = CONTENT_TOPIC.parse()?;
    autoshard(options.network.cluster_id, options.network.num_shards_in_network, &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shard_is_the_one_of_the_chats_topics() {
        let arguments = ["--cluster-id=16", "--num-shards-in-network=8"];
        let options = Options::load(arguments.map(Into::into), []).expect("good options");
        let any: ContentTopic =
            "/wgc/1/abcdefghijklmnopqrstuvwxyz/proto".parse().expect("a content topic");
        assert_eq!(pubsub_topic(&options), autoshard(16, 8, &any));
    }
}
