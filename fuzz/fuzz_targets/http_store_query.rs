#![no_main]

waku_groupchat_fuzz::fuzz!("http_store_query");
