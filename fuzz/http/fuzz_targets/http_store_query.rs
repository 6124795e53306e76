#![no_main]

waku_groupchat_fuzz_http::fuzz!("http_store_query");
