#![no_main]

waku_groupchat_fuzz::fuzz!("mls_key_package");
