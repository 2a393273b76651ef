//! What messengers hide in: HTTP and its proxies, TLS, DNS.

pub mod http;
