#![no_main]

waku_groupchat_fuzz::fuzz!("seal");
