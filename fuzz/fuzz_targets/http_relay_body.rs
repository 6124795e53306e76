#![no_main]

waku_groupchat_fuzz::fuzz!("http_relay_body");
