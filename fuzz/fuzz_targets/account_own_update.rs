#![no_main]

waku_groupchat_fuzz::fuzz!("account_own_update");
