#![no_main]

waku_groupchat_fuzz_http::fuzz!("http_chat_body");
