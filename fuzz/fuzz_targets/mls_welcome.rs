#![no_main]

waku_groupchat_fuzz::fuzz!("mls_welcome");
