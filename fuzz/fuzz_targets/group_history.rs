#![no_main]

waku_groupchat_fuzz::fuzz!("group_history");
