#![no_main]

waku_groupchat_fuzz_http::fuzz!("http_relay_body");
