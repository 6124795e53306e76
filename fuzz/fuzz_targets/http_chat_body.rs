#![no_main]

waku_groupchat_fuzz::fuzz!("http_chat_body");
